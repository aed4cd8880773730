//! Waiting for several channels, for tasks.

use std::{
    future::poll_fn,
    task::{Context, Poll},
    time::Duration,
};

use crosstie_core::{Result, instant_after};
use tokio::time::{Instant, timeout_at};

use crate::turn::{Turn, all_over, none_in_time};

/// What can be waited for with others: a [`Receiver`](crate::Receiver) or a [`DatagramReceiver`](crate::DatagramReceiver) of any type. Nobody else has it.
pub trait Selectable: sealed::Source {}

/// Keeps [`Selectable`] to this crate.
pub(crate) mod sealed {
    use std::task::{Context, Poll};

    use tokio::time::Instant;

    #[allow(unnameable_types, reason = "nobody else is to implement it")]
    pub trait Source: Send {
        /// Ready once something was found, which the next `recv` takes.
        fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()>;
        /// Does what is due, and says when to come again.
        fn tend(&mut self) -> Option<Instant>;
        fn is_over(&self) -> bool;
    }
}

/// Waits for the first of several channels, of whatever types, to have a message or an end.
///
/// It remembers whose turn it is: after one was ready, it is asked last. Keep one as long as you wait for the same channels, in the same order.
///
/// ```
/// use std::time::Duration;
/// use crosstie_core::Kind;
/// use crosstie_link::{Channel, ChannelListener, Select, Untyped};
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// let words = ChannelListener::<Untyped<String>>::bind(&"mem:select-words".parse()?)?;
/// let numbers = ChannelListener::<Untyped<u32>>::bind(&"mem:select-numbers".parse()?)?;
/// tokio::spawn(async move {
///     let mut words = words.accept(Duration::from_secs(5)).await?.open().await?;
///     words.send(&Untyped("hello".to_owned())).await?;
///     words.close("that was all").await
/// });
/// tokio::spawn(async move {
///     let mut numbers = numbers.accept(Duration::from_secs(5)).await?.open().await?;
///     numbers.send(&Untyped(42)).await?;
///     numbers.close("that was all").await
/// });
///
/// let mut words = Channel::<Untyped<String>>::connect(&"mem:select-words".parse()?).await?;
/// let mut numbers = Channel::<Untyped<u32>>::connect(&"mem:select-numbers".parse()?).await?;
/// let mut select = Select::new();
/// let (mut text, mut number) = (String::new(), 0);
/// loop {
///     let among = &mut [words.receiver() as _, numbers.receiver() as _];
///     let ended = match select.ready(among, Duration::from_secs(5)).await {
///         Ok(0) => words.recv().await.map(|word| text = word.value.0).err(),
///         Ok(_) => numbers.recv().await.map(|came| number = came.value.0).err(),
///         // Each end was told once, by its own channel.
///         Err(error) if error.kind() == Kind::Closed => break,
///         Err(error) => return Err(error.into()),
///     };
///     assert!(ended.is_none_or(|error| error.kind() == Kind::Closed));
/// }
/// assert_eq!((text.as_str(), number), ("hello", 42));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// # })?;
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
    /// # Cancel safety
    ///
    /// What was found stays with its receiver: dropping the future loses nothing.
    pub async fn ready(&mut self, among: &mut [&mut dyn Selectable], timeout: Duration) -> Result<usize> {
        let (count, until) = (among.len(), instant_after(Instant::now(), timeout));
        // Who always finds something lets others have their turn all the same.
        tokio::task::consume_budget().await;
        loop {
            if among.iter().all(|one| one.is_over()) {
                return Err(all_over(count));
            }
            let due = among.iter_mut().filter_map(|one| one.tend()).min();
            let first = poll_fn(|cx| self.first(among, cx));
            match timeout_at(due.map_or(until, |due| due.min(until)), first).await {
                Ok(found) => return Ok(found),
                Err(_) if Instant::now() >= until => return Err(none_in_time(count, timeout)),
                Err(_) => {}
            }
        }
    }

    fn first(&mut self, among: &mut [&mut dyn Selectable], cx: &mut Context<'_>) -> Poll<usize> {
        let found = self.turn.first(among.len(), |index| among[index].poll_ahead(cx).is_ready());
        found.map_or(Poll::Pending, Poll::Ready)
    }
}
