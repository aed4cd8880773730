//! Random pairs of schemas: what `can_read` allows is sent as random values, and must be read by a reader that knows nothing of schemas.
//!
//! The reader is the naive model: it does, field by field, what the code of serde's derive does. The control leaves out one rule after the other,
//! and each time something allowed by what remains cannot be read.

mod edits;
mod model;
mod reader;
mod values;

use crosstie_core::schema::{Difference, DifferenceKind, can_read};
use fastrand::Rng;

use self::{model::Model, reader::Reader, values::Value};

const PAIRS: u64 = 4_000;
const VALUES: usize = 4;

/// A writer and a reader made from it by some edits. What follows the value tells whether all of it was read.
fn pair(rng: &mut Rng, allowed_only: bool) -> (Model, Model) {
    let writer = Model::random(rng, 3);
    let mut reader = writer.clone();
    for _ in 0..rng.usize(0..4) {
        edits::edit(&mut reader, rng, allowed_only);
    }
    let ended = |model| Model::Tuple(vec![model, Model::Text]);
    (ended(writer), ended(reader))
}

fn differences(writer: &Model, reader: &Model) -> Vec<Difference> {
    can_read(&writer.schema(), &reader.schema()).err().unwrap_or_default()
}

/// The first failure of some codec with some value.
fn failure(writer: &Model, reader: &Model, rng: &mut Rng) -> Option<String> {
    (0..VALUES).find_map(|_| {
        let value = Value::random(writer, rng);
        let failed = |codec: &str, error: String| {
            let (sent, read) = (writer.schema(), reader.schema());
            Some(format!("{codec}: {error}\n{value:?}\nwritten as\n{sent}read as\n{read}"))
        };
        let mut cbor = Vec::new();
        ciborium::into_writer(&value, &mut cbor).unwrap();
        if let Err(error) = Reader(reader).of_cbor(&cbor) {
            return failed("CBOR", error);
        }
        if let Err(error) = Reader(reader).of_json(&serde_json::to_vec(&value).unwrap()) {
            return failed("JSON", error);
        }
        match Reader(reader).of_msgpack(&rmp_serde::to_vec_named(&value).unwrap()) {
            Err(error) => failed("MessagePack", error),
            Ok(()) => None,
        }
    })
}

#[test]
fn what_is_allowed_is_read() {
    let (mut allowed, mut forbidden) = (0, 0);
    for seed in 0..PAIRS {
        let mut rng = Rng::with_seed(seed);
        let (writer, reader) = pair(&mut rng, false);
        if differences(&writer, &reader).is_empty() {
            allowed += 1;
            if let Some(failure) = failure(&writer, &reader, &mut rng) {
                panic!("seed {seed}: {failure}");
            }
        } else {
            forbidden += 1;
        }
    }
    assert!(allowed > PAIRS / 5 && forbidden > PAIRS / 5, "{allowed} allowed, {forbidden} forbidden");
}

#[test]
fn every_change_of_the_agreement_is_allowed() {
    for seed in 0..PAIRS {
        let mut rng = Rng::with_seed(seed);
        let (writer, reader) = pair(&mut rng, true);
        let told = differences(&writer, &reader);
        assert!(told.is_empty(), "seed {seed}: {}\n{}{}", told[0], writer.schema(), reader.schema());
    }
}

#[test]
fn control_without_any_one_rule_something_cannot_be_read() {
    use DifferenceKind::{Ambiguous, Count, Kind, Missing, Sometimes, Unexpected, UnknownVariant};
    for rule in [Kind, Count, Missing, Sometimes, Unexpected, Ambiguous, UnknownVariant] {
        let is_missed = (0..20 * PAIRS).any(|seed| {
            let mut rng = Rng::with_seed(seed);
            let (writer, reader) = pair(&mut rng, false);
            let told = differences(&writer, &reader);
            !told.is_empty()
                && told.iter().all(|difference| difference.kind() == rule)
                && failure(&writer, &reader, &mut rng).is_some()
        });
        assert!(is_missed, "without {rule:?} everything was read");
    }
}
