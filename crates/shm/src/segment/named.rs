//! Segments with a name: made whole, found by listing a directory, replaced by a higher generation.

use std::io;

use super::{
    directory::{Directory, Listed},
    memory::Segment,
    spec::{Expect, Spec},
};
use crate::{
    error::{Error, Result},
    header::State,
    name::SegmentName,
};

/// How often a name is looked up again when it changes under our eyes. Each time means that somebody else got further.
const TRIES: u32 = 100;

impl Segment {
    /// A new segment. `fill` sees it before anybody else can; others see it whole or not at all.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`], [`Error::Spec`], [`Error::NoSpace`], what `fill` says, the operating system's.
    pub fn create(
        directory: &Directory,
        name: &SegmentName,
        spec: &Spec,
        fill: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        let exists = |generation| Error::AlreadyExists { segment: name.to_string(), generation };
        let generation = match current(directory, name)? {
            Current::Nothing { next } => next,
            Current::Is { highest, .. } => return Err(exists(highest)),
        };
        build(directory, name, generation, spec, fill)?.ok_or_else(|| exists(generation))
    }

    /// The segment of that name.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`]; [`Error::Refused`] if it is not what is expected; [`Error::Poisoned`]; the operating system's.
    pub fn open(directory: &Directory, name: &SegmentName, expect: &Expect) -> Result<Self> {
        for _ in 0..TRIES {
            let Current::Is { highest, older } = current(directory, name)? else { break };
            // Gone since it was found.
            let Some(segment) = open_generation(directory, name, highest, expect)? else { continue };
            if !expect.is_looking_only() {
                finish_replacing(directory, name, highest, &older)?;
                match segment.check() {
                    // Replaced or removed since it was found.
                    Err(Error::Retired { .. } | Error::Removed { .. }) => continue,
                    outcome => outcome?,
                }
            }
            return Ok(segment);
        }
        Err(Error::NotFound { segment: name.to_string() })
    }

    /// The segment of that name, made if there is none. Of several who try at once, one makes it and the others open it.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create) and [`open`](Self::open) have them.
    pub fn open_or_create(
        directory: &Directory,
        name: &SegmentName,
        expect: &Expect,
        spec: &Spec,
        fill: impl Fn(&Self) -> Result<()>,
    ) -> Result<Self> {
        let mut last = None;
        for _ in 0..TRIES {
            match Self::open(directory, name, expect) {
                Err(Error::NotFound { .. }) => {}
                outcome => return outcome,
            }
            match Self::create(directory, name, spec, &fill) {
                Err(error @ Error::AlreadyExists { .. }) => last = Some(error),
                outcome => return outcome,
            }
        }
        Err(last.expect("every try but a successful one ended here"))
    }

    /// One generation of a name, whatever its state; `None` if there is no such file.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], the operating system's.
    pub fn open_listed(directory: &Directory, listed: &Listed, expect: &Expect) -> Result<Option<Self>> {
        open_generation(directory, &listed.name, listed.generation, expect)
    }

    /// A new generation of the same name with another layout; this one is retired by it. `fill` sees the new one first and may copy
    /// what it wants to keep: whoever still writes to the old one meanwhile writes in vain, so hold its locks.
    ///
    /// A builder that dies in between is finished by the next who opens the name.
    ///
    /// # Errors
    ///
    /// [`Error::AlreadyExists`] if somebody else was faster; else as [`create`](Self::create).
    pub fn replace(
        &self,
        directory: &Directory,
        name: &SegmentName,
        spec: &Spec,
        fill: impl FnOnce(&Self) -> Result<()>,
    ) -> Result<Self> {
        self.check()?;
        let generation = following(self.header().generation)?;
        let exists = || Error::AlreadyExists { segment: name.to_string(), generation };
        let segment = build(directory, name, generation, spec, fill)?.ok_or_else(exists)?;
        crosstie_sys::crash_point!("segment.replace.linked");
        self.retire(Some(generation));
        Ok(segment)
    }
}

fn following(generation: u32) -> Result<u32> {
    generation.checked_add(1).ok_or_else(|| Error::Spec { what: "fewer than 2^32 generations of a name".to_owned() })
}

fn open_generation(
    directory: &Directory,
    name: &SegmentName,
    generation: u32,
    expect: &Expect,
) -> Result<Option<Segment>> {
    let file = name.file(generation);
    let Some(opened) = directory.file(&file, expect.is_looking_only())? else { return Ok(None) };
    Segment::of_file(opened, expect, &file).map(Some)
}

/// What a name stands for.
enum Current {
    /// This generation; the older ones may still be in use.
    Is { highest: u32, older: Vec<u32> },
    /// No segment; who makes one makes this generation.
    Nothing { next: u32 },
}

/// What `name` stands for now. A generation that was removed, but whose file is still there, stands for nothing.
fn current(directory: &Directory, name: &SegmentName) -> Result<Current> {
    let mut generations = directory.generations(name)?;
    for _ in 0..TRIES {
        let Some((highest, older)) = generations.split_first() else { return Ok(Current::Nothing { next: 1 }) };
        let (highest, older) = (*highest, older.to_vec());
        let looking = Expect::any().looking_only().of_any_boot();
        let state = match open_generation(directory, name, highest, &looking) {
            Ok(segment) => segment.map(|segment| segment.state()),
            // What cannot be read is there all the same, and whoever opens it is told.
            Err(Error::Refused { .. }) => return Ok(Current::Is { highest, older }),
            Err(error) => return Err(error),
        };
        match state {
            Some(State::Retired { by }) => {
                // The new one is linked before the old one is retired. So if it is not there now, it is gone.
                let again = directory.generations(name)?;
                if again.first() == Some(&highest) {
                    return Ok(Current::Nothing { next: following(highest.max(by.unwrap_or(0)))? });
                }
                generations = again;
            }
            Some(_) => return Ok(Current::Is { highest, older }),
            None => generations = directory.generations(name)?,
        }
    }
    Err(Error::System {
        doing: format!("looking for segment `{name}`"),
        source: io::Error::new(io::ErrorKind::ResourceBusy, "it is made and removed all the time"),
    })
}

/// Builds generation `generation` and links it; `None` if somebody else linked one.
fn build(
    directory: &Directory,
    name: &SegmentName,
    generation: u32,
    spec: &Spec,
    fill: impl FnOnce(&Segment) -> Result<()>,
) -> Result<Option<Segment>> {
    let header = Segment::plan(spec, name.as_str(), generation)?;
    let bytes = header.len;
    let new = directory.new_file()?;
    crosstie_sys::reserve(&new.file, bytes).map_err(|source| {
        let place = directory.path().display().to_string();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::NoSpace { segment: name.to_string(), bytes, place }
            }
            _ => Error::System { doing: format!("reserving {bytes} bytes in {place}"), source },
        }
    })?;
    let segment = Segment::build(new.file, header, fill)?;
    crosstie_sys::crash_point!("segment.create.filled");
    let is_first = directory.publish(&segment, &name.file(generation))?;
    crosstie_sys::crash_point!("segment.create.linked");
    drop(new.temporary);
    Ok(is_first.then_some(segment))
}

/// Retires what a builder left in use when it died between linking the new generation and retiring the old one.
fn finish_replacing(directory: &Directory, name: &SegmentName, highest: u32, older: &[u32]) -> Result<()> {
    for generation in older {
        match open_generation(directory, name, *generation, &Expect::any()) {
            Ok(Some(old)) => old.retire(Some(highest)),
            // Gone, or of another boot, or damaged: nobody who is alive uses it.
            Ok(None) | Err(Error::Refused { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
