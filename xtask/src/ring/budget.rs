//! The stages and what each may cost, as `xtask/budget.toml` lists them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::failure::{Failure, Result};

const FILE: &str = "xtask/budget.toml";

/// The whole list, in the order in which the stages run.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Budget {
    #[serde(rename = "stage")]
    pub(super) stages: Vec<Stage>,
}

/// One stage: commands that must all succeed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stage {
    pub(super) name: String,
    /// What holds if the stage passes, as the list shows it.
    pub(super) checks: String,
    /// Commands without a shell: words between blanks. `xtask` is this program.
    run: Vec<String>,
    /// The commands of `--long`, where they differ.
    #[serde(default)]
    run_long: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    /// Files without which the stage cannot run.
    #[serde(default)]
    pub(super) needs: Vec<String>,
    /// Seconds, in `test` and in `test --long`.
    test: u64,
    long: u64,
}

impl Budget {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
        toml::from_str(&text).map_err(|error| Failure::failed(format!("{FILE}: expected a list of stages: {error}")))
    }
}

impl Stage {
    pub(super) fn commands(&self, long: bool) -> &[String] {
        if long && !self.run_long.is_empty() { &self.run_long } else { &self.run }
    }

    pub(super) fn budget(&self, long: bool) -> Duration {
        Duration::from_secs(if long { self.long } else { self.test })
    }

    #[cfg(test)]
    pub(super) fn of(command: &str, test: u64) -> Self {
        Self {
            name: "sample".into(),
            checks: "a sample".into(),
            run: vec![command.into()],
            run_long: Vec::new(),
            env: BTreeMap::new(),
            needs: Vec::new(),
            test,
            long: test,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::root;

    /// What the whole ring may take, in seconds.
    const WHOLE: u64 = 40 * 60;

    #[test]
    fn the_budgets_of_test_add_up_to_forty_minutes_at_most() {
        let budget = Budget::read(&root::workspace()).expect("the budget can be read");
        let sum: u64 = budget.stages.iter().map(|stage| stage.test).sum();
        assert!(sum <= WHOLE, "the stages may take {sum} s, more than {WHOLE} s");
        assert!(budget.stages.iter().all(|stage| stage.long >= stage.test), "--long is never the shorter run");
    }

    #[test]
    fn stages_have_names_of_their_own() {
        let budget = Budget::read(&root::workspace()).expect("the budget can be read");
        let names: std::collections::BTreeSet<_> = budget.stages.iter().map(|stage| &stage.name).collect();
        assert_eq!(names.len(), budget.stages.len());
    }
}
