//! Channels over TLS: typed messages between two who have proved to each other who they are.
#![cfg(feature = "tls")]

use std::{thread, time::Duration};

use crosstie_core::{Endpoint, Kind};
use crosstie_link::{
    Channel as AsyncChannel, ChannelListener as AsyncListener, Untyped,
    blocking::{Channel, ChannelListener},
};
use crosstie_testkit::certificates::{Authority, Validity};

type Text = Untyped<String>;

const PATIENCE: Duration = Duration::from_secs(20);

/// Where both ends ask for a certificate of the same authority.
fn place() -> (tempfile::TempDir, Endpoint) {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "ours");
    let both = authority.issue("both", &["127.0.0.1"], Validity::Now);
    let url = format!("tls://127.0.0.1:0?{}", both.options(&authority.ca()));
    (folder, url.parse::<Endpoint>().unwrap().trusted())
}

fn text(text: &str) -> Text {
    Untyped(text.to_owned())
}

#[test]
fn threads_talk_over_tls_and_know_who_is_there() {
    let (_folder, place) = place();
    let listener = ChannelListener::<Text>::bind(&place).unwrap();
    let target = listener.endpoint().clone();
    let client = thread::spawn(move || Channel::<Text>::connect(&target).unwrap());
    let accepted = listener.accept(PATIENCE).unwrap();
    assert_eq!(accepted.certificate().unwrap().name(), "both");
    let (mut b, mut a) = (accepted.open().unwrap(), client.join().unwrap());
    assert_eq!(a.certificate(), b.certificate());
    // More than fits on the way at once.
    let long = text(&"x".repeat(500_000));
    thread::scope(|scope| {
        scope.spawn(|| (0..20).for_each(|_| a.send(&long).unwrap()));
        (0..20).for_each(|_| assert!(b.recv().unwrap().value == long));
    });
    drop(a);
    assert_eq!(b.recv().unwrap_err().kind(), Kind::Closed);
}

#[tokio::test]
async fn tasks_talk_over_tls_and_know_who_is_there() {
    let (_folder, place) = place();
    let listener = AsyncListener::<Text>::bind(&place).unwrap();
    let target = listener.endpoint().clone();
    let far = async { listener.accept(PATIENCE).await.unwrap().open().await.unwrap() };
    let (near, mut far) = tokio::join!(AsyncChannel::<Text>::connect(&target), far);
    let mut near = near.unwrap();
    assert_eq!(near.certificate().unwrap().name(), "both");
    near.send(&text("hello")).await.unwrap();
    assert_eq!(far.recv().await.unwrap().value, text("hello"));
    drop(near);
    assert_eq!(far.recv().await.unwrap_err().kind(), Kind::Closed);
}
