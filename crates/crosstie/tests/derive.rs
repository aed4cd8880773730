//! `#[derive(ShmSafe)]` where `crosstie` is the dependency, by its own name and by another.

use crosstie::shm::{self as memory, Directory, Reserved, Ring, ShmSafe, deadline_after};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ShmSafe)]
#[repr(C)]
struct Plain {
    number: u64,
    inner: Inner,
    rest: Reserved<8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ShmSafe)]
#[repr(transparent)]
struct Inner([u8; 8]);

/// As one says it whose dependency has another name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, memory::ShmSafe)]
#[shm(crate = memory)]
#[repr(C)]
struct Elsewhere {
    number: u64,
}

#[test]
fn a_struct_goes_through_a_ring_without_a_word_of_where_the_trait_is() {
    let folder = tempfile::tempdir().unwrap();
    let directory = Directory::at(folder.path().join("segments")).unwrap();
    let ring = Ring::<Plain>::open_or_create(&directory, &"plain".parse().unwrap(), 2).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    let message = Plain { number: 7, inner: Inner([1; 8]), rest: Reserved::default() };
    sender.try_send(message).unwrap();
    let soon = deadline_after(std::time::Duration::from_secs(10));
    assert_eq!(receiver.receive(soon).unwrap(), message);
}

#[test]
fn another_name_is_told_by_an_attribute() {
    let ring = Ring::<Elsewhere>::anonymous(2).unwrap();
    let (mut sender, mut receiver) = (ring.sender().unwrap(), ring.receiver().unwrap());
    sender.try_send(Elsewhere { number: 7 }).unwrap();
    assert_eq!(receiver.try_receive().unwrap(), Elsewhere { number: 7 });
}
