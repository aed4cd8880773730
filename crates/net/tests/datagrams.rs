//! Datagrams of every scheme: whole or not at all, limits that are known, groups of several.

use std::time::Duration;

use crosstie_core::{Endpoint, Kind};
use crosstie_net::{Datagrams, receive_datagrams, send_datagrams};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(30);

fn endpoint(text: &str) -> Endpoint {
    text.parse().unwrap()
}

/// A receiver of each scheme, with a sender to it; and the folder that the files are in.
fn pairs(test: &str) -> (tempfile::TempDir, Vec<(Datagrams, Datagrams)>) {
    let folder = tempfile::tempdir().unwrap();
    let urls = [
        format!("unix:{}/{test}", folder.path().display()),
        format!("unix:@datagrams-{test}-{}", std::process::id()),
        "udp://127.0.0.1:0".to_owned(),
    ];
    let open = |url: &String| {
        let receiver = receive_datagrams(&endpoint(url)).unwrap();
        let sender = send_datagrams(receiver.endpoint()).unwrap();
        (receiver, sender)
    };
    let pairs = urls.iter().map(open).collect();
    (folder, pairs)
}

#[test]
fn each_is_one_message_empty_ones_too() {
    let (_folder, pairs) = pairs("each");
    for (receiver, sender) in pairs {
        for text in [&b"one"[..], b"", b"three"] {
            sender.send(text, LONG).unwrap();
        }
        let mut buf = [0; 16];
        for text in [&b"one"[..], b"", b"three"] {
            let came = receiver.receive(&mut buf, LONG).unwrap();
            assert_eq!(&buf[..came.len], text, "{}", receiver.endpoint());
        }
        assert!(receiver.try_receive(&mut buf).unwrap().is_none());
        let error = receiver.receive(&mut buf, SHORT).unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout, "{error}");
    }
}

#[test]
fn the_longest_arrives_and_a_longer_one_is_refused_before_it_is_sent() {
    let (_folder, pairs) = pairs("longest");
    for (receiver, sender) in pairs {
        let most = sender.max_len();
        let text: Vec<u8> = (0..=most).map(|at| (at % 251) as u8).collect();
        let error = sender.send(&text, LONG).unwrap_err();
        assert_eq!(error.kind(), Kind::TooLarge, "{error}");
        sender.send(&text[..most], LONG).unwrap();
        let mut buf = vec![0; most + 1];
        let came = receiver.receive(&mut buf, LONG).unwrap();
        assert!(came.len == most && buf[..most] == text[..most], "{}", receiver.endpoint());
        assert!(receiver.try_receive(&mut buf).unwrap().is_none(), "nothing of the longer one has come");
    }
}

#[test]
fn one_that_does_not_fit_is_an_error_and_never_cut() {
    let (_folder, pairs) = pairs("cut");
    for (receiver, sender) in pairs {
        sender.send(b"much too long", LONG).unwrap();
        sender.send(b"fits", LONG).unwrap();
        let mut buf = [0; 4];
        let error = receiver.receive(&mut buf, LONG).unwrap_err();
        assert_eq!(error.kind(), Kind::TooLarge, "{error}");
        assert!(error.to_string().contains("13 bytes"), "{error}");
        // The control: the next one fits.
        assert_eq!(receiver.receive(&mut buf, LONG).unwrap().len, 4);
        assert_eq!(&buf, b"fits");
    }
}

/// Numbered datagrams, more than are kept: what arrives is counted, and what does not.
#[test]
fn losses_and_doubles_can_be_counted() {
    let (_folder, pairs) = pairs("counted");
    for (receiver, sender) in pairs {
        let (mut sent, mut full) = (0_u32, 0);
        for number in 0..20_000_u32 {
            match sender.try_send(&number.to_le_bytes()) {
                Ok(()) => sent += 1,
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Full, "{error}");
                    full += 1;
                }
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        let mut buf = [0; 4];
        while receiver.try_receive(&mut buf).unwrap().is_some() {
            assert!(seen.insert(u32::from_le_bytes(buf)), "a double");
        }
        let lost = sent as usize - seen.len();
        if receiver.endpoint().scheme() == "unix" {
            assert!(full > 0 && lost == 0, "a Unix socket says that it is full: {full}, {lost}");
        } else {
            assert!(lost > 0, "UDP drops what a receiver has no room for");
        }
    }
}

#[test]
fn tokio_carries_the_same() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (_folder, pairs) = pairs("tokio");
    for (receiver, sender) in pairs {
        let exchange = async {
            let (receiver, sender) = (receiver.into_async().unwrap(), sender.into_async().unwrap());
            let mut buf = [0; 8];
            for number in 0..2000_u64 {
                let bytes = number.to_le_bytes();
                let (sent, came) = tokio::join!(sender.send(&bytes), receiver.receive(&mut buf));
                sent.unwrap();
                assert_eq!(came.unwrap().len, 8);
                assert_eq!(u64::from_le_bytes(buf), number);
            }
        };
        runtime.block_on(async { tokio::time::timeout(LONG, exchange).await.expect("in time") });
    }
}

#[test]
fn a_group_reaches_several() {
    let group = endpoint("udp://239.255.77.1:0?iface=lo&insecure");
    let first = receive_datagrams(&group).unwrap();
    let others: Vec<_> = (0..2).map(|_| receive_datagrams(first.endpoint()).unwrap()).collect();
    let sender = send_datagrams(first.endpoint()).unwrap();
    sender.send(b"to all", LONG).unwrap();
    let mut buf = [0; 16];
    for receiver in std::iter::once(&first).chain(&others) {
        let came = receiver.receive(&mut buf, LONG).unwrap();
        assert_eq!(&buf[..came.len], b"to all");
        assert!(came.from.is_some());
    }
    // The control: another group at the same port hears nothing of it.
    let other = first.endpoint().to_string().replace("239.255.77.1", "239.255.77.2");
    let other = receive_datagrams(&endpoint(&other)).unwrap();
    sender.send(b"to all", LONG).unwrap();
    first.receive(&mut buf, LONG).unwrap();
    assert!(other.try_receive(&mut buf).unwrap().is_none());
}

#[test]
fn nobody_receives_beyond_loopback_unless_insecure_is_spelled_out() {
    for text in ["udp://0.0.0.0:0", "udp://239.255.77.1:0?iface=lo"] {
        let error = receive_datagrams(&endpoint(text)).err().unwrap();
        assert_eq!(error.kind(), Kind::Denied, "{error}");
    }
    receive_datagrams(&endpoint("udp://0.0.0.0:0?insecure")).unwrap();
    for text in ["tcp://127.0.0.1:1", "mem:x"] {
        assert_eq!(receive_datagrams(&endpoint(text)).err().unwrap().kind(), Kind::Unsupported);
    }
}

#[test]
fn nobody_there_is_told_and_a_path_is_free_again() {
    let (folder, pairs) = pairs("nobody");
    for (receiver, sender) in pairs {
        let at = receiver.endpoint().clone();
        if at.scheme() == "unix" {
            assert!(receive_datagrams(&at).is_err(), "it has a receiver");
        }
        drop(receiver);
        if at.scheme() == "unix" {
            assert_eq!(sender.send(b"x", LONG).unwrap_err().kind(), Kind::NoResponders);
            assert_eq!(send_datagrams(&at).err().unwrap().kind(), Kind::NoResponders);
            receive_datagrams(&at).unwrap();
        }
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
}
