//! What a command that listens tells of its connection.

use crosstie::{Event, blocking::Client};

use super::input::shown;
use crate::output::Output;

/// Tells on standard error, from now on, when the connection is lost and when it is back. Ends with the client.
pub(super) fn watch(client: &Client, server: &str, output: &Output) {
    let (mut events, url, output) = (client.events(), shown(server), output.clone());
    let mut past: Vec<_> = std::iter::from_fn(|| events.try_next()).collect();
    // What the server said before has been told already, as an error if it was one.
    past.retain(|event| !matches!(event, Event::ServerError(_)));
    std::thread::spawn(move || {
        for event in past.into_iter().chain(std::iter::from_fn(|| events.next())) {
            let (kind, message) = match event {
                Event::Disconnected(why) => ("disconnected", format!("disconnected from {url}: {why}: trying again")),
                Event::Reconnected => ("reconnected", format!("reconnected to {url}")),
                Event::SlowSubscription(pattern) => {
                    ("slow", format!("messages on '{pattern}' are lost: they come faster than they are taken"))
                }
                Event::ServerError(text) => ("server_error", format!("the server says: {text}")),
                _ => continue,
            };
            output.event(kind, &message);
        }
    });
}
