//! What a command that listens tells of its connection.

use crosstie::{Event, blocking::Client};

use super::input::shown;
use crate::output::Output;

/// Tells on standard error, from now on, when the connection is lost and when it is back. Ends with the client.
pub(super) fn watch(client: &Client, server: &str, output: &Output) {
    let (mut events, url, output) = (client.events(), shown(server), output.clone());
    // What was before has been told already, as an error if it was one.
    while events.try_next().is_some() {}
    std::thread::spawn(move || {
        while let Some(event) = events.next() {
            match event {
                Event::Disconnected(why) => output.note(&format!("disconnected from {url}: {why}: trying again")),
                Event::Reconnected => output.note(&format!("reconnected to {url}")),
                Event::SlowSubscription(pattern) => {
                    output.note(&format!("messages on '{pattern}' are lost: they come faster than they are taken"));
                }
                Event::ServerError(text) => output.note(&format!("the server says: {text}")),
                _ => {}
            }
        }
    });
}
