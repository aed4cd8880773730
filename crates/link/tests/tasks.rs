//! Channels for tasks, also against channels for threads.

use std::{thread, time::Duration};

use crosstie_core::{Endpoint, Kind, fault::parse_log};
use crosstie_link::{Channel, ChannelListener, ChannelOptions, Raw, TrySendError, Untyped, blocking};
use crosstie_net::Faults;
use tokio::time::timeout;

type Number = Untyped<u32>;

const PATIENCE: Duration = Duration::from_secs(20);

fn places() -> (tempfile::TempDir, Vec<Endpoint>) {
    let folder = tempfile::tempdir().unwrap();
    let texts = [format!("unix:{}", folder.path().join("s").display()), "tcp://127.0.0.1:0".to_owned()];
    (folder, texts.iter().map(|text| text.parse().unwrap()).collect())
}

async fn pair(place: &Endpoint, here: ChannelOptions) -> (Channel<Number>, Channel<Number>) {
    let listener = ChannelListener::<Number>::bind(place).unwrap();
    let target = listener.endpoint().clone();
    let client = tokio::spawn(async move { Channel::connect_with(&target, here).await.unwrap() });
    let server = listener.accept(PATIENCE).await.unwrap().open().await.unwrap();
    (client.await.unwrap(), server)
}

#[tokio::test]
async fn messages_go_both_ways_at_once_and_each_end_has_its_name() {
    const COUNT: u32 = 20_000;
    let (_folder, places) = places();
    for place in &places {
        let (a, b) = pair(place, ChannelOptions::default()).await;
        let run = |channel: Channel<Number>| {
            let (mut sender, mut receiver) = channel.split();
            let sending = tokio::spawn(async move {
                for number in 0..COUNT {
                    sender.feed(&Untyped(number)).await.unwrap();
                }
                sender.finish().await.unwrap();
            });
            tokio::spawn(async move {
                for number in 0..COUNT {
                    assert_eq!(receiver.recv().await.unwrap().value, Untyped(number));
                }
                assert_eq!(receiver.recv().await.unwrap_err().kind(), Kind::Closed);
                sending.await.unwrap();
                receiver
            })
        };
        let (a, b) = (run(a), run(b));
        drop((a.await.unwrap(), b.await.unwrap()));

        let (a, mut b) = pair(place, ChannelOptions::default()).await;
        a.close("enough").await.unwrap();
        let closed = b.recv().await.unwrap_err();
        assert!(closed.kind() == Kind::Closed && closed.to_string().contains("enough"), "{closed}");
        let (a, mut b) = pair(place, ChannelOptions::default()).await;
        drop(a);
        assert_eq!(b.recv().await.unwrap_err().kind(), Kind::Closed);
    }
}

#[tokio::test]
async fn a_task_and_a_thread_understand_each_other() {
    let (_folder, places) = places();
    for place in &places {
        let listener = blocking::ChannelListener::<Number>::bind(place).unwrap();
        let target = listener.endpoint().clone();
        let server = thread::spawn(move || {
            let mut channel = listener.accept(PATIENCE).unwrap().open().unwrap();
            while let Ok(received) = channel.recv() {
                channel.send(&Untyped(received.value.0 + 1)).unwrap();
            }
        });
        let mut client = Channel::<Number>::connect(&target).await.unwrap();
        for number in 0..100 {
            client.send(&Untyped(number)).await.unwrap();
            assert_eq!(client.recv().await.unwrap().value, Untyped(number + 1));
        }
        drop(client);
        server.join().unwrap();
    }
}

#[tokio::test]
async fn waits_end_with_their_deadline_and_nothing_is_lost_by_them() {
    let (_folder, places) = places();
    for place in &places {
        let mut hurried = ChannelOptions::default();
        (hurried.deadline, hurried.buffer) = (Some(Duration::from_millis(50)), 64 * 1024);
        let listener = ChannelListener::<Raw>::bind(place).unwrap();
        let target = listener.endpoint().clone();
        let client = tokio::spawn(async move { Channel::<Raw>::connect_with(&target, hurried).await.unwrap() });
        let mut b = listener.accept(PATIENCE).await.unwrap().open().await.unwrap();
        let mut a = client.await.unwrap();
        assert_eq!(b.receiver().recv_within(Duration::from_millis(5)).await.unwrap_err().kind(), Kind::Timeout);
        let message = |number: u32| Raw([&number.to_le_bytes()[..], &[7; 1020]].concat().into());
        let mut taken = 0;
        let error = loop {
            match a.sender().feed(&message(taken)).await {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
            assert!(taken < 100_000, "{place}: somebody keeps it all");
        };
        assert_eq!(error.kind(), Kind::Timeout, "{place}: {error}");
        let reader = tokio::spawn(async move {
            for number in 0..taken {
                assert_eq!(b.recv().await.unwrap().value, message(number));
            }
        });
        while a.sender().flush().await.is_err() {}
        reader.await.unwrap();
    }
}

#[tokio::test]
async fn who_only_tries_waits_for_nothing_and_loses_nothing() {
    let (_folder, places) = places();
    for place in &places {
        let mut narrow = ChannelOptions::default();
        narrow.buffer = 64 * 1024;
        let (mut a, mut b) = pair(place, narrow).await;
        assert_eq!(b.receiver().try_recv().unwrap(), None, "{place}");
        let mut taken = 0;
        loop {
            match a.sender().try_send(Untyped(taken)) {
                Ok(()) => taken += 1,
                Err(TrySendError::Full(back)) => break assert_eq!(back, Untyped(taken)),
                Err(error) => panic!("{place}: {error}"),
            }
            assert!(taken < 10_000_000, "{place}: somebody keeps it all");
        }
        let (mut came, mut has_ended) = (0, None);
        let mut sender = Some(a.split().0);
        let receiver = b.receiver();
        while has_ended.is_none() {
            match receiver.try_recv() {
                Ok(Some(message)) => {
                    assert_eq!(message.value, Untyped(came), "{place}");
                    came += 1;
                }
                // What has gone made room for what had waited.
                Ok(None) if came < taken => tokio::task::yield_now().await,
                Ok(None) => {
                    drop(sender.take());
                    tokio::task::yield_now().await;
                }
                Err(error) => has_ended = Some(error),
            }
            if let Some(sender) = &mut sender
                && came < taken
            {
                let _ = timeout(Duration::ZERO, sender.flush()).await;
            }
        }
        assert_eq!((came, has_ended.unwrap().kind()), (taken, Kind::Closed), "{place}");
        assert_eq!(receiver.try_recv().unwrap_err().kind(), Kind::Closed, "{place}: it stays so");
    }
}

/// An end without a word is explained in time of its own, and who only tries comes to hear it all the same.
#[tokio::test]
async fn who_only_tries_is_told_of_a_lost_connection() {
    let (_folder, places) = places();
    for place in &places {
        let mut options = ChannelOptions::default();
        options.faults = Some(Faults::replay(parse_log("1 out 2 cut 1").unwrap()));
        let (mut a, mut b) = pair(place, options).await;
        a.send(&Untyped(1)).await.unwrap();
        let _ = a.send(&Untyped(2)).await;
        let mut came = 0;
        let lost = loop {
            match b.receiver().try_recv() {
                Ok(Some(message)) => came += message.value.0,
                Ok(None) => tokio::task::yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!((came, lost.kind()), (1, Kind::Disconnected), "{place}: {lost}");
        let (back, error) = loop {
            match b.sender().try_send(Untyped(3)) {
                Ok(()) => tokio::task::yield_now().await,
                Err(TrySendError::Failed(back, error)) => break (back, error),
                Err(error) => panic!("{place}: {error}"),
            }
        };
        assert_eq!((back, error.kind()), (Untyped(3), Kind::Disconnected), "{place}: {error}");
    }
}

#[tokio::test]
async fn dropping_a_wait_loses_no_message() {
    let (_folder, places) = places();
    let (mut a, mut b) = pair(&places[0], ChannelOptions::default()).await;
    for number in 0..200 {
        // Given up at once, before or after the message has come.
        let _ = timeout(Duration::ZERO, b.recv()).await.map(|received| panic!("too early: {received:?}"));
        a.send(&Untyped(number)).await.unwrap();
        assert_eq!(b.recv().await.unwrap().value, Untyped(number));
    }
}
