//! Children with a typed channel to their parent.

use std::{
    env,
    os::fd::{AsFd, OwnedFd},
    process::Command,
};

use crosstie_core::{Endpoint, Error, Kind, Result};
use crosstie_net::{ChildProcess, Connection, Inheritance, connector, inherited, spawn_with_stream};

use crate::{Channel, ChannelOptions, Payload, blocking};

/// In a child's environment: under which number it finds the channel to its parent.
const PARENT: &str = "CROSSTIE_PARENT";
/// In a child's environment: what else it was given, `NAME:NUMBER,…`.
const GIVEN: &str = "CROSSTIE_GIVEN";

/// A child that is about to be started with a channel to this process.
///
/// The channel goes over a Unix socket that the child inherits, besides its standard input and output, which stay its own. The child opens its end by
/// [`parent`]. Unless told otherwise it is killed when this process ends, however that comes; its exit status, and with it the proof
/// of its end, is known here ([`ChildProcess`]), and a channel whose child has died says `PeerDied`.
///
/// ```no_run
/// # async fn example() -> Result<(), crosstie_core::Error> {
/// use std::process::Command;
/// use crosstie_link::{Spawn, Untyped};
///
/// let (mut channel, child) = Spawn::new(Command::new("worker")).start::<Untyped<String>, Untyped<u64>>().await?;
/// channel.send(&Untyped("count these words".to_owned())).await?;
/// println!("{} says {}", child.id(), channel.recv().await?.value.0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Spawn {
    command: Command,
    options: ChannelOptions,
    gifts: Vec<(String, OwnedFd)>,
    outlives: bool,
}

impl Spawn {
    /// Will run `command`.
    pub fn new(command: Command) -> Self {
        Self { command, options: ChannelOptions::default(), gifts: Vec::new(), outlives: false }
    }

    /// Gives the child a copy of a descriptor under a name, by which it takes it with [`given`]: that of a file, or of an anonymous segment
    /// of shared memory with a region in it.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name is empty, taken, or holds a `:` or a `,`; the operating system's.
    pub fn give(mut self, name: &str, descriptor: impl AsFd) -> Result<Self> {
        if name.is_empty() || name.contains([':', ',']) || self.gifts.iter().any(|(known, _)| known == name) {
            let text = format!("'{name}' cannot name what a child is given: expected a new name without ':' and ','");
            return Err(Error::new(Kind::InvalidInput, text));
        }
        self.gifts.push((name.to_owned(), descriptor.as_fd().try_clone_to_owned()?));
        Ok(self)
    }

    /// Lets the child live on when this process ends. It sees that by its channel.
    #[must_use]
    pub const fn outlive_parent(mut self) -> Self {
        self.outlives = true;
        self
    }

    /// How the channel works at this end.
    #[must_use]
    pub fn options(mut self, options: ChannelOptions) -> Self {
        self.options = options;
        self
    }

    /// Starts it, and waits until both ends have agreed on types and codec. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// `Io` if it cannot be started; those of [`Channel::over`] if it ends, says nothing in time, or its types do not fit: it is killed then.
    ///
    /// # Cancel safety
    ///
    /// A child that is not waited for any longer is killed.
    pub async fn start<S: Payload, R: Payload>(self) -> Result<(Channel<S, R>, ChildProcess)> {
        let options = self.options.clone();
        // To start a process takes a millisecond, in which nothing else of this task's thread goes on.
        let started = tokio::task::spawn_blocking(|| self.launch()).await;
        let (connection, child) = started.map_err(|why| Error::new(Kind::Io, why.to_string()))??;
        Ok((Channel::over(connection, options).await?, child.keep()))
    }

    /// As [`Spawn::start`], for threads without a runtime. Blocks.
    ///
    /// # Errors
    ///
    /// As [`Spawn::start`].
    pub fn start_blocking<S: Payload, R: Payload>(self) -> Result<(blocking::Channel<S, R>, ChildProcess)> {
        let options = self.options.clone();
        let (connection, child) = self.launch()?;
        Ok((blocking::Channel::over(connection, options)?, child.keep()))
    }

    fn launch(self) -> Result<(Connection, OrKill)> {
        let Self { mut command, gifts, outlives, .. } = self;
        let mut inheritance = Inheritance::new();
        if !outlives {
            inheritance.die_with_parent();
        }
        let told: Vec<String> = gifts
            .iter()
            .map(|(name, descriptor)| Ok(format!("{name}:{}", inheritance.give(descriptor)?)))
            .collect::<Result<_>>()?;
        command.env(GIVEN, told.join(","));
        let program = command.get_program().to_string_lossy().into_owned();
        let tell = |command: &mut Command, number: u32| {
            command.env(PARENT, number.to_string());
        };
        spawn_with_stream(command, inheritance, tell)
            .map(|(connection, child)| (connection, OrKill(Some(child))))
            .map_err(|error| Error::new(Kind::Io, format!("cannot start '{program}'")).because(error))
    }
}

/// A child whose channel has not come about yet. Nobody has a handle of it then: it is killed if that fails, and if it is not waited for any longer.
struct OrKill(Option<ChildProcess>);

impl OrKill {
    fn keep(mut self) -> ChildProcess {
        self.0.take().expect("it is kept once")
    }
}

impl Drop for OrKill {
    fn drop(&mut self) {
        if let Some(child) = &self.0 {
            let _ = child.kill();
        }
    }
}

/// Starts `command` with a channel to it, as [`Spawn`] does.
///
/// # Errors
///
/// As [`Spawn::start`].
pub async fn spawn<S: Payload, R: Payload>(command: Command) -> Result<(Channel<S, R>, ChildProcess)> {
    Spawn::new(command).start().await
}

/// The channel to the process that has started this one by [`spawn`]. It is there once.
///
/// # Errors
///
/// `InvalidInput` if this process was not started so, or has taken it already; those of [`Channel::over`]. `PeerDied` proves that the parent is dead.
pub async fn parent<S: Payload, R: Payload>() -> Result<Channel<S, R>> {
    Channel::over(to_parent()?, ChannelOptions::default()).await
}

pub(crate) fn to_parent() -> Result<Connection> {
    let refused = |text: String| Error::new(Kind::InvalidInput, text);
    let number = env::var(PARENT).map_err(|_| {
        refused(format!("this process was not started with a channel to its parent: {PARENT} is not set"))
    })?;
    let endpoint: Endpoint = format!("fd:{number}")
        .parse()
        .map_err(|error| refused(format!("expected a descriptor's number in {PARENT}, found '{number}': {error}")))?;
    // It is this process's own environment, which its parent has made.
    let connection = connector(&endpoint.trusted())?.connect(ChannelOptions::default().connect_timeout);
    connection.map_err(|error| {
        refused("the channel to the parent is not there, or was taken before".to_owned()).because(error)
    })
}

/// What this process was given under `name` by [`Spawn::give`]. It is there once.
///
/// # Errors
///
/// `InvalidInput` if there is nothing of that name, or it was taken before.
pub fn given(name: &str) -> Result<OwnedFd> {
    let given = env::var(GIVEN).unwrap_or_default();
    let found = given.split(',').find_map(|one| one.split_once(':').filter(|(known, _)| *known == name));
    let number = found.and_then(|(_, number)| number.parse().ok());
    let number = number.ok_or_else(|| {
        let text = format!("this process was given nothing called '{name}', but '{given}'");
        Error::new(Kind::InvalidInput, text)
    })?;
    inherited(number).map_err(|error| Error::new(Kind::InvalidInput, format!("cannot take '{name}'")).because(error))
}
