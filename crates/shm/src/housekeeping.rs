//! Removing segments that nobody uses, and what dead builders left.

use std::os::fd::AsFd;

use crosstie_sys::range_lock;

use crate::{
    error::{Error, Result},
    header::Refusal,
    layout::ParticipantId,
    name::SegmentName,
    participant::{Keeper, Life},
    segment::{Directory, Expect, Listed, Segment, TEMPORARY},
};

/// What became of one file.
#[derive(Debug)]
pub struct Swept {
    /// The file's name in the directory.
    pub file: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Who was dead in it, and has been recovered.
    pub reaped: Vec<ParticipantId>,
}

/// What became of a file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// It is gone: nobody used it.
    Removed,
    /// It is gone: the machine was started anew since it was made.
    RemovedOfOtherBoot,
    /// It is gone: its builder died.
    RemovedUnfinished,
    /// It stays: so many participants live.
    InUse {
        /// How many.
        alive: u32,
    },
    /// It stays: somebody else is at it, or has removed it already.
    Busy,
    /// It stays, for it is no segment that can be judged.
    Refused(Error),
}

impl Outcome {
    /// True if the file is gone.
    pub const fn is_removed(&self) -> bool {
        matches!(self, Self::Removed | Self::RemovedOfOtherBoot | Self::RemovedUnfinished)
    }
}

/// Recovers what the dead left in every segment of `directory`, and removes each that nobody takes part in.
///
/// A segment whose processes have all gone is removed with everything in it: what must outlive its users belongs in a queue or a file.
///
/// # Errors
///
/// The operating system's, on listing the directory. What happens to a single file is told in its outcome.
pub fn sweep(directory: &Directory) -> Result<Vec<Swept>> {
    let mut files = directory.files()?;
    files.sort();
    let mut swept = Vec::new();
    for file in files {
        let mut reaped = Vec::new();
        let outcome = if let Some((name, generation)) = SegmentName::of_file(&file) {
            sweep_one(directory, &Listed { name, generation }, &mut reaped)
        } else if file.starts_with(TEMPORARY) {
            sweep_unfinished(directory, &file)
        } else {
            continue;
        };
        let outcome = outcome.unwrap_or_else(Outcome::Refused);
        swept.push(Swept { file, outcome, reaped });
    }
    Ok(swept)
}

fn sweep_one(directory: &Directory, listed: &Listed, reaped: &mut Vec<ParticipantId>) -> Result<Outcome> {
    let segment = match Segment::open_listed(directory, listed, &Expect::any()) {
        Ok(Some(segment)) => segment,
        Ok(None) => return Ok(Outcome::Busy),
        Err(Error::Refused { refusal: Refusal::OtherBoot { .. }, .. }) => {
            // Every process that could hold it ended with its boot.
            directory.remove(&listed.file())?;
            return Ok(Outcome::RemovedOfOtherBoot);
        }
        Err(error) => return Err(error),
    };
    let keeper = Keeper::of(&segment)?;
    reaped.extend(keeper.reap_dead()?);
    let removed = keeper.if_deserted(|| {
        // Who has every slot's byte is alone in removing this file, so the name cannot come to stand for another one in between.
        let is_it = directory.is_file(&listed.file(), &segment)?;
        if is_it {
            segment.retire(None);
            directory.remove(&listed.file())?;
        }
        Ok(is_it)
    })?;
    match removed {
        Some(true) => Ok(Outcome::Removed),
        Some(false) => Ok(Outcome::Busy),
        None => {
            let alive = keeper.participants()?.iter().filter(|info| info.life == Life::Alive).count();
            Ok(if alive == 0 {
                Outcome::Busy
            } else {
                Outcome::InUse { alive: u32::try_from(alive).unwrap_or(u32::MAX) }
            })
        }
    }
}

fn sweep_unfinished(directory: &Directory, file: &str) -> Result<Outcome> {
    let Some(opened) = directory.file(file, false)? else { return Ok(Outcome::Busy) };
    let is_abandoned = range_lock::try_lock(opened.as_fd(), 0)
        .map_err(Error::system(format!("asking whether somebody builds `{file}`")))?;
    if !is_abandoned {
        return Ok(Outcome::Busy);
    }
    directory.remove(file)?;
    Ok(Outcome::RemovedUnfinished)
}

/// Removes every generation of `name`, if `even_if_used` while others take part: they get [`Error::Removed`] from the next act on, and what they
/// commit until then is lost with it. Returns how many files went.
///
/// # Errors
///
/// [`Error::NotFound`]; [`Error::InUse`] if somebody takes part and `even_if_used` is false; the operating system's.
pub fn remove(directory: &Directory, name: &SegmentName, even_if_used: bool) -> Result<usize> {
    let generations = directory.generations(name)?;
    if generations.is_empty() {
        return Err(Error::NotFound { segment: name.to_string() });
    }
    // The highest first: an older one must not become the current one by it.
    for generation in &generations {
        let listed = Listed { name: name.clone(), generation: *generation };
        let outcome = sweep_one(directory, &listed, &mut Vec::new());
        match outcome {
            Ok(outcome) if outcome.is_removed() => continue,
            Ok(Outcome::InUse { alive }) if !even_if_used => {
                return Err(Error::InUse { segment: name.to_string(), alive });
            }
            Err(error) if !even_if_used => return Err(error),
            _ => {}
        }
        // Where it cannot be read, there is nobody to be told.
        if let Ok(Some(segment)) = Segment::open_listed(directory, &listed, &Expect::any()) {
            segment.retire(None);
        }
        directory.remove(&listed.file())?;
    }
    Ok(generations.len())
}
