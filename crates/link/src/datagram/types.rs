//! Whether this side can read what a sender of datagrams writes, who has said no hello.

use crosstie_core::{Codec, Result, SchemaText};
use crosstie_proto::frame::{Datagram, Described, Direction, Hello};

use crate::{ChannelOptions, Payload, difference::can_read};

/// How many types of senders are remembered, each with what is told of it.
const MOST: usize = 64;
/// The longest that is told of one.
const MAX_WORDS: usize = 4096;

/// What this side reads, and what was found of the types that came.
pub(super) struct Types {
    own: Hello,
    /// The last that came is the first.
    known: Vec<Known>,
}

struct Known {
    codec: Codec,
    schema: Option<[u8; 16]>,
    /// Nothing that comes later says more of it.
    is_final: bool,
    verdict: std::result::Result<(), String>,
}

impl Types {
    pub(super) fn new<T: Payload>(options: &ChannelOptions) -> Result<Self> {
        let mut own = Hello::default();
        (own.reads, own.receives) = (options.offer::<T>()?, T::described()?);
        Ok(Self { own, known: Vec::new() })
    }

    /// Whether a message can be read, and if not, why.
    pub(super) fn fits(&mut self, message: &Datagram<'_>) -> std::result::Result<(), &str> {
        let is_it = |it: &Known| it.codec == message.codec && it.schema == message.schema;
        match self.known.iter().position(is_it) {
            Some(0) if self.says_all(0, message) => {}
            Some(at) if self.says_all(at, message) => self.known[..=at].rotate_right(1),
            at => {
                let known = self.look(message);
                match at {
                    Some(at) => drop(self.known.remove(at)),
                    None => self.known.truncate(MOST - 1),
                }
                self.known.insert(0, known);
            }
        }
        match &self.known[0].verdict {
            Ok(()) => Ok(()),
            Err(words) => Err(words),
        }
    }

    fn says_all(&self, at: usize, message: &Datagram<'_>) -> bool {
        self.known[at].is_final || message.description.is_none()
    }

    /// The rule is that of two hellos.
    fn look(&self, message: &Datagram<'_>) -> Known {
        let text = message.description.unwrap_or_default().to_owned();
        let mut sender = Hello::default();
        sender.writes = vec![message.codec];
        sender.sends = message.schema.map(|hash| Described { hash, text });
        let is_same = self.own.receives.as_ref().map(|own| own.hash) == message.schema;
        let verdict = Direction::agree(&sender, &self.own, &told).map(drop).map_err(|refusal| cut(refusal.0));
        let is_final =
            is_same || self.own.receives.is_none() || message.schema.is_none() || message.description.is_some();
        Known { codec: message.codec, schema: message.schema, is_final, verdict }
    }
}

/// The difference as far as it is known: without the sender's description there are two hashes.
fn told(written: &Described, read: &Described) -> std::result::Result<(), String> {
    if written.text.is_empty() {
        let hex = |hash: &[u8; 16]| format!("{:032x}", u128::from_be_bytes(*hash));
        return Err(format!(
            "the sender's type has the hash {}, this side's {}; how they differ is told when the sender has described its own, \
             which it does at most once a second and if there is room",
            hex(&written.hash),
            hex(&read.hash),
        ));
    }
    let described = written.text.parse::<SchemaText>();
    if described.is_ok_and(|described| described.hash().to_bytes() != written.hash) {
        return Err("the sender's description is of another type than its hash".to_owned());
    }
    can_read(written, read)
}

fn cut(mut words: String) -> String {
    if words.len() > MAX_WORDS {
        words.truncate(words.floor_char_boundary(MAX_WORDS));
        words.push('…');
    }
    words
}
