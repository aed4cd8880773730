//! One scheme under test: how two ends of it meet, in this process or with another one.

use std::{
    env,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread,
};

use crosstie_core::{Endpoint, Error, FaultSpec};
use crosstie_net::{
    Capabilities, Connection, Connections, Connector, Faults, Identity, Listener, Peer, connector, listen, pipe_pair,
};
use crosstie_sys::{ProcessHandle, pass_on};

use crate::network::Network;

use super::peer::{AS_PEER, LONG, Role, STANDARD};
use crate::certificates::{Authority, Validity};

/// A scheme, and a folder for what it leaves in the file system.
pub(super) struct Subject {
    /// What tests are named after: the scheme, and which form of it.
    pub(super) name: &'static str,
    pub(super) capabilities: &'static Capabilities,
    form: Form,
    folder: PathBuf,
    count: AtomicU32,
    /// Where listeners are, if not here.
    network: Option<Arc<Network>>,
}

#[derive(Clone, Copy)]
enum Form {
    /// A listener at an address like this, in which `{}` is to be replaced, `{folder}` and `{certificate}`.
    Listener(&'static str),
    Pipe,
    Fd,
    Exec,
}

/// Another process at the other end.
pub(super) enum Other {
    /// One of ours.
    Ours(Child),
    /// One of the connection's, by its number.
    Connections(u32),
}

impl Other {
    pub(super) fn pid(&self) -> u32 {
        match self {
            Self::Ours(child) => child.id(),
            Self::Connections(pid) => *pid,
        }
    }

    /// Kills it. Only who is the parent takes it away afterwards.
    pub(super) fn kill(&self) {
        ProcessHandle::open(self.pid()).unwrap().expect("nobody has taken it away").kill().unwrap();
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        if let Self::Ours(child) = self {
            // Dead already is as good.
            let _ = child.kill();
            child.wait().unwrap();
        }
    }
}

impl crate::matrix::Subject for Subject {
    type Capabilities = Capabilities;

    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> &'static Capabilities {
        self.capabilities
    }
}

impl Subject {
    /// Where it may leave files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Every scheme in every form.
    pub(super) fn all(folder: &Path) -> Vec<Self> {
        let forms = [
            ("mem", "mem", Form::Listener("mem:{}")),
            ("pipe", "pipe", Form::Pipe),
            ("fd", "fd", Form::Fd),
            ("exec", "exec", Form::Exec),
            ("fifo", "fifo", Form::Listener("fifo:{folder}/{}")),
            ("unix_path", "unix", Form::Listener("unix:{folder}/{}")),
            ("unix_abstract", "unix", Form::Listener("unix:@{}")),
            ("shm", "shm", Form::Listener("shm:{}")),
            ("tcp", "tcp", Form::Listener("tcp://127.0.0.1:0")),
            ("tls", "tls", Form::Listener("tls://127.0.0.1:0?{certificate}")),
        ];
        certify(folder);
        let of = |(name, scheme, form)| Self {
            name,
            capabilities: Capabilities::of(scheme).expect("a scheme in the matrix"),
            form,
            folder: folder.to_owned(),
            count: AtomicU32::new(0),
            network: None,
        };
        forms.into_iter().map(of).collect()
    }

    /// Every scheme that reaches other machines, with its listeners at the far end of a network.
    pub(super) fn far(folder: &Path, network: &Arc<Network>) -> Vec<Self> {
        let forms = [
            ("tcp_far", "tcp", Form::Listener("tcp://10.77.0.2:0?insecure")),
            ("tls_far", "tls", Form::Listener("tls://10.77.0.2:0?{certificate}")),
        ];
        certify(folder);
        let of = |(name, scheme, form)| Self {
            name,
            capabilities: Capabilities::of(scheme).expect("a scheme in the matrix"),
            form,
            folder: folder.to_owned(),
            count: AtomicU32::new(0),
            network: Some(Arc::clone(network)),
        };
        forms.into_iter().map(of).collect()
    }

    /// Listens where this subject's listeners are.
    pub(super) fn listen(&self, endpoint: &Endpoint) -> Result<Box<dyn Listener>, Error> {
        match &self.network {
            None => listen(endpoint),
            Some(network) => {
                let mut options = endpoint.options().clone();
                options.insecure = true;
                let endpoint = endpoint.clone().with_options(options);
                network.at_far(move || listen(&endpoint))
            }
        }
    }

    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_deref()
    }

    /// A listener at an address that nothing else has.
    pub(super) fn listener(&self) -> Option<Box<dyn Listener>> {
        match self.form {
            Form::Listener(_) => {
                let at = self.address();
                Some(self.listen(&at).unwrap_or_else(|error| panic!("{at}: {error}")))
            }
            Form::Pipe => Some(listen(&endpoint("pipe:")).unwrap()),
            Form::Fd | Form::Exec => None,
        }
    }

    /// Both ends in this process, or this one and another process, with faults at this end or at `both` that this process has: by `fault=` where
    /// the form has an address that takes it, else by the program. What must live as long is the last.
    pub(super) fn faulty(
        &self,
        spec: &FaultSpec,
        role: Role,
        both: bool,
    ) -> (Connection, Option<Connection>, Option<Other>) {
        let over = |connection| Faults::of(spec.clone()).over(connection).unwrap();
        let with = |endpoint: &Endpoint| {
            let mut options = endpoint.options().clone();
            options.fault = Some(spec.clone());
            endpoint.clone().with_options(options).trusted()
        };
        match self.form {
            Form::Listener(_) => {
                let at = self.address();
                let listener = listen(&if both { with(&at) } else { at }).unwrap();
                let connector = connector(&with(listener.endpoint())).unwrap();
                let (near, far) = meet_by(&*listener, &*connector);
                (near, Some(far), None)
            }
            Form::Pipe | Form::Fd => {
                let (near, far) = self.pair().expect("both are in this process");
                (over(near), Some(if both { over(far) } else { far }), None)
            }
            Form::Exec => {
                let (near, other) = self.with_process(role).expect("it is another process");
                (over(near), None, Some(other))
            }
        }
    }

    /// An address that nothing else has.
    fn address(&self) -> Endpoint {
        let Form::Listener(template) = self.form else { panic!("{} has no address", self.name) };
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("suite-{}-{}-{number}", self.name, std::process::id());
        let folder = self.folder.to_str().expect("a folder of plain letters");
        let template = template.replace("{certificate}", CERTIFICATE);
        endpoint(&template.replace("{folder}", folder).replace("{}", &name))
    }

    /// Both ends in this process: who connected, and who accepted. `None` where the other end is always another process.
    pub(super) fn pair(&self) -> Option<(Connection, Connection)> {
        match self.form {
            Form::Listener(_) | Form::Pipe => Some(meet(&*self.listener()?)),
            Form::Fd => {
                let (one, other) = UnixStream::pair().unwrap();
                let open = |socket: UnixStream| {
                    let number = pass_on(socket.into()).unwrap();
                    connector(&endpoint(&format!("fd:{number}"))).unwrap().connect(LONG).unwrap()
                };
                Some((open(one), open(other)))
            }
            Form::Exec => None,
        }
    }

    /// This end, and another process that plays a role at the other. `None` where there are no two processes.
    pub(super) fn with_process(&self, role: Role) -> Option<(Connection, Other)> {
        let program = env::current_exe().unwrap();
        let peer = |at: &str| {
            let mut command = Command::new(&program);
            command.args([AS_PEER, at, &role.name()]);
            command
        };
        match self.form {
            Form::Listener(template) if template.starts_with("mem") => None,
            Form::Listener(_) => {
                let listener = self.listener()?;
                let child = peer(&listener.endpoint().to_string()).stdin(Stdio::null()).spawn().unwrap();
                Some((listener.accept(LONG).unwrap(), Other::Ours(child)))
            }
            Form::Pipe => {
                let (connection, ends) = pipe_pair().unwrap();
                let child = peer(STANDARD).stdin(ends.reader).stdout(ends.writer).spawn().unwrap();
                Some((connection, Other::Ours(child)))
            }
            Form::Fd => {
                let (one, other) = UnixStream::pair().unwrap();
                let child = peer("fd:0").stdin(std::os::fd::OwnedFd::from(other)).spawn().unwrap();
                let number = pass_on(one.into()).unwrap();
                let connection = connector(&endpoint(&format!("fd:{number}"))).unwrap().connect(LONG).unwrap();
                Some((connection, Other::Ours(child)))
            }
            Form::Exec => {
                let command = format!("exec:'{}' {AS_PEER} {STANDARD} {}", program.display(), role.name());
                let connection = connector(&endpoint(&command)).unwrap().connect(LONG).unwrap();
                let Peer::Child(pid) = connection.peer() else { panic!("a child, not {:?}", connection.peer()) };
                Some((connection, Other::Connections(pid)))
            }
        }
    }
}

/// What both ends of TLS show, each of which asks for the other's.
const CERTIFICATE: &str = "cert={folder}/suite.peer.cert.pem&key={folder}/suite.peer.key.pem&ca={folder}/suite.ca.pem";

/// Makes it.
fn certify(folder: &Path) {
    Authority::new(folder, "suite").issue("peer", &["127.0.0.1", "10.77.0.2"], Validity::Now);
}

/// A connection through a listener.
pub(super) fn meet(listener: &dyn Listener) -> (Connection, Connection) {
    meet_by(listener, &*listener.connector().unwrap())
}

fn meet_by(listener: &dyn Listener, connector: &dyn Connector) -> (Connection, Connection) {
    // A named pipe is accepted with its first byte, and is there to connect to once the listener has seen the end of the one before.
    if listener.capabilities().identity == Identity::Certificate {
        // Neither is there before both have proved who they are.
        return thread::scope(|scope| {
            let connecting = scope.spawn(|| connector.connect(LONG).unwrap());
            let far = listener.accept(LONG).unwrap();
            (connecting.join().unwrap(), far)
        });
    }
    if listener.capabilities().connections == Connections::InTurn {
        return thread::scope(|scope| {
            let writing = scope.spawn(|| {
                let writer = connector.connect(LONG).unwrap();
                (&writer).write_all(b"!").unwrap();
                writer
            });
            let reader = listener.accept(LONG).unwrap();
            (&reader).read_exact(&mut [0]).unwrap();
            (writing.join().unwrap(), reader)
        });
    }
    let near = connector.connect(LONG).unwrap();
    (near, listener.accept(LONG).unwrap())
}

/// An endpoint of this suite's own.
pub(super) fn endpoint(url: &str) -> Endpoint {
    url.parse::<Endpoint>().unwrap_or_else(|error| panic!("{error}")).trusted()
}
