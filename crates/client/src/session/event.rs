//! What a client tells of itself: what happened to its connection, and counts.

/// What happened to the connection, told to whoever listens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Connected for the first time.
    Connected,
    /// The connection was lost, and why; the client tries again.
    Disconnected(String),
    /// Connected again; all subscriptions were made again.
    Reconnected,
    /// The server is about to leave.
    LameDuck,
    /// The server reported an error, such as a permission that is missing.
    ServerError(String),
    /// A subscription's buffer is full, and messages are dropped: its user is too slow.
    SlowSubscription(String),
    /// The client is closed and will not connect again.
    Closed,
}

/// Counts since the client was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages published.
    pub out_msgs: u64,
    /// Payload bytes published.
    pub out_bytes: u64,
    /// Messages received.
    pub in_msgs: u64,
    /// Payload bytes received.
    pub in_bytes: u64,
    /// Connections made after the first.
    pub reconnects: u64,
}
