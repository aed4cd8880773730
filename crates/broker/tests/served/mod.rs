//! A broker on a TCP port of its own.

use crosstie_broker::{Broker, Options};
use crosstie_core::{HostPort, Target};
use crosstie_net::SocketListener;

/// Starts it on loopback; its port.
pub(crate) fn serve(options: Options) -> (Broker, u16) {
    let target = Target::Tcp { host: HostPort { host: "127.0.0.1".into(), port: 0 } };
    let broker = Broker::start(options, vec![SocketListener::bind(&target).unwrap()]).unwrap();
    let Target::Tcp { host } = broker.local_endpoints()[0].target().clone() else { panic!() };
    (broker, host.port)
}
