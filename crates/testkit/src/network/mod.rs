//! Two network namespaces and a slow link between them, made of this process alone: no tool, no daemon, and no rights but to namespaces.
//!
//! The thread that makes it is at the near end, and so is every thread and process that it begins. Sockets that are made [`Network::at_far`] are at the far
//! end, whoever uses them then. Between the two lies a [`Link`]: 10 Mbit/s, 40 ms each way, and either way can be cut.

mod link;

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
};

use crosstie_sys::trial::{enter_own_network, tunnel};

pub use self::link::{DELAY, Link, RATE, Way};

/// The addresses of the two ends.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// See [`NEAR`].
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);

type Errand = Box<dyn FnOnce() + Send>;

/// The two ends and what is between.
pub struct Network {
    far: Sender<Errand>,
    link: Link,
}

impl Network {
    /// Separates this process from its network, for good. Call it first in `main`: without the right to it, only a process of one thread gets
    /// it.
    ///
    /// # Errors
    ///
    /// The operating system's: no namespaces for this user, or no `/dev/net/tun`. Such a check was not run.
    pub fn separate() -> io::Result<Arc<Self>> {
        enter_own_network()?;
        small_buffers()?;
        let near = tunnel(c"cross0", NEAR)?;
        let (far, errands) = mpsc::channel::<Errand>();
        let (made, is_made) = mpsc::channel();
        thread::Builder::new().name("far-end".to_owned()).spawn(move || {
            let end = enter_own_network().and_then(|()| small_buffers()).and_then(|()| tunnel(c"cross0", FAR));
            made.send(end).expect("who began this thread waits");
            errands.iter().for_each(|errand| errand());
        })?;
        let other = is_made.recv().map_err(io::Error::other)??;
        Ok(Arc::new(Self { far, link: Link::new(near, other)? }))
    }

    /// Does something at the far end: what it opens is there.
    pub fn at_far<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, is_done) = mpsc::channel();
        let errand = move || {
            // Who asked waits, unless he has panicked.
            let _ = done.send(act());
        };
        self.far.send(Box::new(errand)).expect("the far end lives as long as this");
        is_done.recv().expect("what is done at the far end does not panic")
    }

    /// What lies between.
    pub const fn link(&self) -> &Link {
        &self.link
    }
}

/// Buffers that a slow link empties in a second, instead of in a minute.
fn small_buffers() -> io::Result<()> {
    for name in ["tcp_rmem", "tcp_wmem"] {
        std::fs::write(format!("/proc/sys/net/ipv4/{name}"), "4096 65536 262144")?;
    }
    Ok(())
}
