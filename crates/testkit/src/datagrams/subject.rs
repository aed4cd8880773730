//! One scheme under test: a receiver at an address of its own, senders to it, and other processes.

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use crosstie_core::{Endpoint, Error};
use crosstie_net::{DatagramCapabilities, Datagrams, receive_datagrams, send_datagrams};

use crate::network::Network;

use super::peer::{AS_PEER, Role};

/// How many datagrams are sent until one has to arrive.
const SETTLE_TRIES: u32 = 20;

/// A scheme, and a folder for what it leaves in the file system.
pub(super) struct Subject {
    name: &'static str,
    capabilities: &'static DatagramCapabilities,
    /// An address in which `{}` is to be replaced.
    template: &'static str,
    folder: PathBuf,
    count: AtomicU32,
    /// Where receivers are, if not here.
    network: Option<Arc<Network>>,
}

impl crate::matrix::Subject for Subject {
    type Capabilities = DatagramCapabilities;

    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> &'static DatagramCapabilities {
        self.capabilities
    }

    /// A link has one queue for all who send: while it is full of what a flood left, it loses what comes next. Whoever
    /// arrives last finds it empty.
    fn settle(&self) {
        if self.network.is_none() {
            return;
        }
        let (receiver, sender) = self.pair();
        for _ in 0..SETTLE_TRIES {
            sender.send(b"the last", self.on_the_way()).unwrap();
            if receiver.receive(&mut [0; 8], self.on_the_way()).is_ok() {
                return;
            }
        }
        panic!("{}: nothing arrives of {SETTLE_TRIES} datagrams", self.name);
    }
}

/// Another process. It is killed in the end, if it was not before.
pub(super) struct Other(Child);

impl Other {
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it has written a line.
    pub(super) fn said_something(&mut self) {
        let stdout = self.0.stdout.take().expect("asked for once");
        BufReader::new(stdout).read_line(&mut String::new()).unwrap();
    }

    pub(super) fn kill(&mut self) {
        self.0.kill().expect("it has not been taken away");
        self.0.wait().expect("a child of this process");
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        // Dead already is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Subject {
    /// Every scheme in every form.
    pub(super) fn all(folder: &Path) -> Vec<Self> {
        let forms = [
            ("mem", "mem", "mem:{}"),
            ("unix_path", "unix", "unix:{folder}/{}"),
            ("unix_abstract", "unix", "unix:@{}"),
            ("shm", "shm", "shm:{}"),
            ("udp", "udp", "udp://127.0.0.1:0"),
        ];
        let of = |(name, scheme, template)| Self {
            name,
            capabilities: DatagramCapabilities::of(scheme).expect("a scheme in the matrix"),
            template,
            folder: folder.to_owned(),
            count: AtomicU32::new(0),
            network: None,
        };
        forms.into_iter().map(of).collect()
    }

    /// Every scheme that reaches other machines, with its receivers at the far end of a network.
    pub(super) fn far(folder: &Path, network: &Arc<Network>) -> Vec<Self> {
        vec![Self {
            name: "udp_far",
            capabilities: DatagramCapabilities::of("udp").expect("a scheme in the matrix"),
            template: "udp://10.77.0.2:0?insecure",
            folder: folder.to_owned(),
            count: AtomicU32::new(0),
            network: Some(Arc::clone(network)),
        }]
    }

    /// Receives where this subject's receivers are.
    pub(super) fn receive(&self, endpoint: &Endpoint) -> Result<Datagrams, Error> {
        match &self.network {
            None => receive_datagrams(endpoint),
            Some(network) => {
                let endpoint = endpoint.clone();
                network.at_far(move || receive_datagrams(&endpoint))
            }
        }
    }

    pub(super) fn network(&self) -> Option<&Network> {
        self.network.as_deref()
    }

    /// A group of receivers, and another one.
    pub(super) fn groups(&self) -> [String; 2] {
        let interface = if self.network.is_some() { "cross0" } else { "lo" };
        [1, 2].map(|last| format!("udp://239.255.77.{last}:0?iface={interface}&insecure"))
    }

    /// How long what was sent may be on its way.
    pub(super) fn on_the_way(&self) -> Duration {
        // The delay, and a queue that is full.
        if self.network.is_some() { Duration::from_millis(500) } else { Duration::ZERO }
    }

    /// True if that is its name.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name
    }

    /// Where it may leave files.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// An address that nothing else has.
    pub(super) fn endpoint(&self) -> Endpoint {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        let name = format!("letters-{}-{}-{number}", self.name, std::process::id());
        let folder = self.folder.to_str().expect("a folder of plain letters");
        let url = self.template.replace("{folder}", folder).replace("{}", &name);
        url.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn receiver(&self) -> Datagrams {
        self.receive(&self.endpoint()).unwrap_or_else(|error| panic!("{}: {error}", self.name))
    }

    /// Both ends in this process: who receives, and who sends.
    pub(super) fn pair(&self) -> (Datagrams, Datagrams) {
        let receiver = self.receiver();
        let sender = send_datagrams(receiver.endpoint()).unwrap();
        (receiver, sender)
    }
}

/// Another process that plays a role at an endpoint.
pub(super) fn process(role: Role, endpoint: &Endpoint) -> Other {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args([AS_PEER, &endpoint.to_string(), &role.name()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    Other(command.spawn().unwrap())
}
