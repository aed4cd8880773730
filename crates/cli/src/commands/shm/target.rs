//! Which segment a command is about: a name, or one generation of it.

use clap::Args;
use crosstie::shm::{Directory, Expect, Listed, Segment, SegmentName};

use crate::exit::{Code, Failure};

#[derive(Args)]
pub(super) struct Target {
    /// The segment; NAME@GENERATION for one that is not the newest
    #[arg(value_name = "NAME")]
    segment: String,
}

impl Target {
    /// The segment, mapped to be looked at.
    pub(super) fn open(&self, directory: &Directory) -> Result<Segment, Failure> {
        let expect = Expect::any().looking_only().of_any_boot();
        match self.segment.split_once('@') {
            None => {
                let name: SegmentName = self.segment.parse().map_err(crosstie::shm::Error::from)?;
                Ok(Segment::open(directory, &name, &expect)?)
            }
            Some((name, generation)) => {
                let name: SegmentName = name.parse().map_err(crosstie::shm::Error::from)?;
                let what = || Failure::usage(format!("expected the number of a generation, came '{generation}'"));
                let generation = generation.parse().map_err(|_| what())?;
                let listed = Listed { name, generation };
                let found = Segment::open_listed(directory, &listed, &expect)?;
                let what = || format!("expected a segment '{}', found none", self.segment);
                found.ok_or_else(|| Failure::new(Code::NotFound, "not_found", what()))
            }
        }
    }
}
