//! Waiting for several objects at once, with one system call.

use crosstie_core::Deadline;
use crosstie_sys::futex::{self, MAX_WORDS};

use crate::{
    clock,
    error::{Error, Result},
    schema::ShmSafe,
    wait::{CHECK_EVERY, EventCount, Fence},
};

use super::{end::End, frames::ByteReceiver, typed::Receiver};

/// Something that [`wait_any`] can wait for: the receiving ends of rings.
pub trait Awaited: sealed::Sealed {}

#[allow(unnameable_types, reason = "the trait is sealed")]
pub(super) mod sealed {
    use super::{End, Result};

    /// What `wait_any` needs to know; only types of this crate have it.
    pub trait Sealed {
        /// True if there is a message, or the sender has left, or the ring is of no more use: a receive returns at once then.
        fn is_ready(&mut self) -> Result<bool>;
        /// Whether the sender died without leaving. One system call.
        fn has_lost_its_peer(&self) -> bool;
        /// What to sleep on.
        #[allow(private_interfaces, reason = "the trait is sealed")]
        fn end(&self) -> &End;
    }
}

impl<T: ShmSafe> Awaited for Receiver<T> {}
impl Awaited for ByteReceiver {}

impl<T: ShmSafe> sealed::Sealed for Receiver<T> {
    fn is_ready(&mut self) -> Result<bool> {
        Ok(self.end().check().is_err() || self.end().peer_has_left() || !matches!(self.is_empty(), Ok(true)))
    }

    fn has_lost_its_peer(&self) -> bool {
        self.sender_has_died()
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn end(&self) -> &End {
        self.end_ref()
    }
}

impl sealed::Sealed for ByteReceiver {
    fn is_ready(&mut self) -> Result<bool> {
        Ok(self.end().check().is_err() || self.end().peer_has_left() || !matches!(self.is_empty(), Ok(true)))
    }

    fn has_lost_its_peer(&self) -> bool {
        self.sender_has_died()
    }

    #[allow(private_interfaces, reason = "the trait is sealed")]
    fn end(&self) -> &End {
        self.end_ref()
    }
}

/// Waits until one of `ends` has something, and says which: a message, or the news that its sender left or died, which its next act that waits
/// tells. The first in order comes first. `None` if the deadline passes before.
///
/// ```
/// use crosstie_shm::{Ring, deadline_after, wait_any};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (one, two) = (Ring::<u64>::anonymous(4)?, Ring::<u64>::anonymous(4)?);
/// let (mut first, mut second) = (one.receiver()?, two.receiver()?);
/// let _first_sender = one.sender()?;
/// two.sender()?.try_send(7)?;
/// let found = wait_any(&mut [&mut first, &mut second], deadline_after(Duration::from_secs(1)))?;
/// assert_eq!(found, Some(1));
/// assert_eq!(second.try_receive()?, 7);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// [`Error::Spec`] for none or more than 128; the operating system's before Linux 5.16.
///
/// # Blocking
///
/// While none has anything.
pub fn wait_any(ends: &mut [&mut dyn Awaited], deadline: Deadline) -> Result<Option<usize>> {
    if ends.is_empty() || ends.len() > MAX_WORDS {
        return Err(Error::Spec { what: format!("1 to {MAX_WORDS} objects to wait for, came {}", ends.len()) });
    }
    loop {
        if let Some(ready) = first_ready(ends)? {
            return Ok(Some(ready));
        }
        let now = clock::now();
        if deadline.expired(now) {
            return Ok(None);
        }
        // One barrier serves all: every flag goes up before it, every look comes after it.
        let announced: Vec<_> = ends.iter().map(|end| own_event(end.end()).announce(|| Fence::Full)).collect();
        if ends.iter().any(|end| end.end().peer_fence() == Fence::Light) {
            Fence::Light.second_half();
        }
        let mut ready = first_ready(ends)?;
        if ready.is_none() {
            let words: Vec<_> =
                ends.iter().zip(&announced).map(|(end, announced)| own_event(end.end()).word(*announced)).collect();
            let until = deadline.earlier(Deadline::after(now, CHECK_EVERY));
            futex::wait_any(&words, until.instant().map(|instant| instant.as_nanos()))
                .map_err(Error::system("waiting for several objects"))?;
            ready = first_ready(ends)?;
        }
        for end in &*ends {
            own_event(end.end()).withdraw();
        }
        // Who sleeps until the look at the peers' lives is due looks.
        if ready.is_none() && clock::now() >= now + CHECK_EVERY {
            ready = ends.iter().position(|end| end.has_lost_its_peer());
        }
        if ready.is_some() {
            return Ok(ready);
        }
    }
}

fn first_ready(ends: &mut [&mut dyn Awaited]) -> Result<Option<usize>> {
    for (at, end) in ends.iter_mut().enumerate() {
        if end.is_ready()? {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

fn own_event(end: &End) -> &EventCount {
    end.event()
}
