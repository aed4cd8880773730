//! What the other end does, on a thread or in a process of its own.

use std::{
    env,
    io::{self, Read, Write},
    process::ExitCode,
    sync::{Arc, Condvar, Mutex},
    thread::{self, JoinHandle},
    time::Duration,
};

use crosstie_net::{Connection, Flow, activated, connector, standard_streams};

use super::pattern::Pattern;

/// For conditions that hold at once unless the machine is very busy.
pub(super) const LONG: Duration = Duration::from_secs(60);

/// What the other end does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Role {
    /// Sends back whatever comes, until the end.
    Echo,
    /// Reads to the end, and answers (if it can) how much of the pattern came.
    Judge,
    /// Sends half of a message and then nothing more.
    Half,
}

/// The bytes of a message, and those that [`Role::Half`] sends of it.
pub(super) const MESSAGE: u64 = 20_000;
pub(super) const HALF: u64 = MESSAGE / 2;

impl Role {
    const ALL: [Self; 3] = [Self::Echo, Self::Judge, Self::Half];

    pub(super) fn name(self) -> String {
        format!("{self:?}")
    }

    /// How much of the pattern [`Role::Judge`] found; 0 for others.
    fn play(self, connection: &Connection, gate: &Gate) -> io::Result<Result<u64, u64>> {
        let pattern = Pattern::new();
        match self {
            Self::Echo => {
                let mut buf = vec![0; 65_536];
                loop {
                    let count = (&*connection).read(&mut buf)?;
                    if count == 0 {
                        return Ok(Ok(0));
                    }
                    (&*connection).write_all(&buf[..count])?;
                }
            }
            Self::Judge => {
                gate.pass();
                let judged = pattern.read(connection, u64::MAX)?;
                if connection.capabilities().half_close {
                    (&*connection).write_all(&verdict(judged))?;
                }
                Ok(judged)
            }
            Self::Half => {
                pattern.write(connection, HALF)?;
                if connection.capabilities().flow == Flow::TwoWay {
                    // An orphan does not stay.
                    return pattern.read(connection, u64::MAX);
                }
                loop {
                    thread::park();
                }
            }
        }
    }
}

/// The answer of [`Role::Judge`].
pub(super) fn verdict(judged: Result<u64, u64>) -> Vec<u8> {
    match judged {
        Ok(count) => format!("{count} bytes as expected\n"),
        Err(position) => format!("wrong at {position}\n"),
    }
    .into_bytes()
}

/// Holds a peer on a thread back until it is opened.
#[derive(Default)]
pub(super) struct Gate {
    is_shut: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(super) fn shut() -> Arc<Self> {
        Arc::new(Self { is_shut: Mutex::new(true), opened: Condvar::new() })
    }

    pub(super) fn open(&self) {
        *self.is_shut.lock().unwrap() = false;
        self.opened.notify_all();
    }

    fn pass(&self) {
        let shut = self.is_shut.lock().unwrap();
        let shut = self.opened.wait_timeout_while(shut, LONG, |shut| *shut).unwrap().0;
        assert!(!*shut, "nobody opened the gate");
    }
}

/// A peer on a thread of this process.
pub(super) fn on_thread(
    role: Role,
    mut connection: Connection,
    gate: Arc<Gate>,
) -> JoinHandle<io::Result<Result<u64, u64>>> {
    connection.set_timeout(Some(LONG));
    thread::spawn(move || role.play(&connection, &gate))
}

/// The argument that makes a program a peer.
pub(super) const AS_PEER: &str = "--as-peer";
/// In the place of an endpoint: standard input and output.
pub(super) const STANDARD: &str = "-";

/// The argument that makes a program a server that systemd would have started; it echoes to one client.
pub(super) const AS_ACTIVATED: &str = "--as-activated";

/// Plays the peer if that is what this process was started for.
pub(super) fn play_if_asked() -> Option<ExitCode> {
    let arguments: Vec<String> = env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == AS_ACTIVATED) {
        serve_activated();
        return Some(ExitCode::SUCCESS);
    }
    let [_, flag, endpoint, role] = &arguments[..] else { return None };
    if flag != AS_PEER {
        return None;
    }
    Some(match play_as(endpoint, role) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("peer {role} at {endpoint}: {error}");
            ExitCode::FAILURE
        }
    })
}

fn serve_activated() {
    let mut all = activated().unwrap();
    assert_eq!(all.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["web"]);
    assert!(activated().is_err(), "what was taken is not there any more");
    let connection = all.remove(0).listener.accept(LONG).unwrap();
    Role::Echo.play(&connection, &Gate::default()).unwrap().unwrap();
}

fn play_as(endpoint: &str, role: &str) -> Result<(), Box<dyn std::error::Error>> {
    let role = Role::ALL.into_iter().find(|known| known.name() == role).ok_or("expected a role")?;
    let mut connection = if endpoint == STANDARD {
        standard_streams()?
    } else {
        // It stands on the command line.
        connector(&endpoint.parse::<crosstie_core::Endpoint>()?.trusted())?.connect(LONG)?
    };
    connection.set_timeout(Some(LONG));
    role.play(&connection, &Gate::default())?.map(drop).map_err(|position| format!("wrong at {position}").into())
}
