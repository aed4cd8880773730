//! The value of a segment as somebody from outside sees it, who knows nothing of its type.

/// What is seen of a segment's value.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueSeen {
    /// The segment is for something else than one value, or the value was never written.
    Nothing,
    /// It changed under every look, or whoever has its lock is changing it in place.
    Changing,
    /// The value as it was at one moment, whole: as its last commit or its writer left it.
    Whole {
        /// Its bytes, as the schema describes them.
        bytes: Vec<u8>,
        /// How many commits there were, or which value of its writer it is; for a transactional region, how often its lock was taken.
        version: u64,
    },
}

impl ValueSeen {
    /// The value in whole words.
    pub(crate) fn whole(words: &[u64], version: u64) -> Self {
        Self::Whole { bytes: words.iter().flat_map(|word| word.to_le_bytes()).collect(), version }
    }

    /// Looks until `look` has seen a whole value, for a bounded number of times.
    pub(crate) fn looked_for(mut look: impl FnMut() -> Option<Self>) -> Self {
        const LOOKS: usize = 1000;
        std::iter::repeat_with(&mut look).take(LOOKS).find_map(|seen| seen).unwrap_or(Self::Changing)
    }
}
