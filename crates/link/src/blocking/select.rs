//! Waiting for several channels, for threads.

use std::{
    io,
    time::{Duration, Instant},
};

use crosstie_core::{Result, instant_after};
use crosstie_net::{Armed, wait_for_any};

use crate::turn::{Turn, all_over, none_in_time};

/// What can be waited for with others: a [`Receiver`](super::Receiver) or a [`DatagramReceiver`](super::DatagramReceiver) of any type. Nobody else has it.
pub trait Selectable: sealed::Source {}

/// Keeps [`Selectable`] to this crate.
pub(crate) mod sealed {
    use super::{Armed, Instant, io};

    #[allow(unnameable_types, reason = "nobody else is to implement it")]
    pub trait Source {
        /// True once something was found, which the next `recv` takes.
        fn look_ahead(&mut self) -> bool;
        /// What to wait for.
        fn arm(&self) -> io::Result<Armed<'_>>;
        /// When to come again at the latest.
        fn due(&self) -> Option<Instant>;
        fn is_over(&self) -> bool;
    }
}

/// Waits for the first of several channels, of whatever types, to have a message or an end: [`Select`](crate::Select) for threads.
///
/// ```
/// use std::{thread, time::Duration};
/// use crosstie_link::{Untyped, blocking::{Channel, ChannelListener, Select}};
///
/// let at: crosstie_core::Endpoint = "mem:select-blocking".parse()?;
/// let listener = ChannelListener::<Untyped<String>>::bind(&at)?;
/// let guests = ["Ada", "Grace"].map(|name| {
///     let at = at.clone();
///     thread::spawn(move || Channel::<Untyped<String>>::connect(&at)?.send(&Untyped(name.to_owned())))
/// });
/// let open = || listener.accept(Duration::from_secs(5))?.open();
/// let (mut one, mut other) = (open()?, open()?);
///
/// let (mut select, mut names) = (Select::new(), Vec::new());
/// while names.len() < 2 {
///     let among = &mut [one.receiver() as _, other.receiver() as _];
///     let whose = select.ready(among, Duration::from_secs(5))?;
///     // The message, or the end of one who has said all.
///     names.extend([&mut one, &mut other][whose].recv().ok().map(|message| message.value.0));
/// }
/// names.sort();
/// assert_eq!(names, ["Ada", "Grace"]);
/// # for guest in guests { guest.join().unwrap()?; }
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
pub struct Select {
    turn: Turn,
}

impl Select {
    /// The turn of the first.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until one of them has a message or an end, and says which: its next `recv` returns at once. One whose end was told by its `recv` is left out.
    ///
    /// # Errors
    ///
    /// `Timeout`; `Closed` once all have ended and their `recv` has said so.
    ///
    /// # Blocking
    ///
    /// In poll(2) on the descriptors of all of them, with none of them read in between.
    pub fn ready(&mut self, among: &mut [&mut dyn Selectable], timeout: Duration) -> Result<usize> {
        let (count, until) = (among.len(), instant_after(Instant::now(), timeout));
        loop {
            if among.iter().all(|one| one.is_over()) {
                return Err(all_over(count));
            }
            if let Some(found) = self.turn.first(count, |index| among[index].look_ahead()) {
                return Ok(found);
            }
            let now = Instant::now();
            if now >= until {
                return Err(none_in_time(count, timeout));
            }
            let waited_for = || among.iter().filter(|one| !one.is_over());
            let due = waited_for().filter_map(|one| one.due()).fold(until, Instant::min);
            let left = due.saturating_duration_since(now);
            wait_for_any(waited_for().map(|one| one.arm()), Some(left))?;
        }
    }
}
