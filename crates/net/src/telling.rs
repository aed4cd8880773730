//! Listeners that say where they are.

use crate::{
    announcement::{Announcement, announce},
    around::{self, Around},
    listener::Listener,
};

/// What a listener says as long as it is there.
struct Telling {
    _said: Option<Announcement>,
}

impl Around for Telling {}

/// The same listener, known to `crosstie ps` from now on.
pub(crate) fn telling(inner: Box<dyn Listener>) -> Box<dyn Listener> {
    let said = announce("stream", inner.endpoint());
    around::listener(inner, Telling { _said: said })
}
