//! The policy of `deny.toml`: the keys that we use of cargo-deny's format, and what breaks them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;

use super::graph::{Package, Scope};
use super::licence::is_satisfied;
use crate::failure::{Failure, Result};

const FILE: &str = "deny.toml";

/// What is allowed. A key of cargo-deny's that is not listed here is refused, so that no rule is written down and then not kept.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Policy {
    graph: Scope,
    licenses: Licences,
    bans: Bans,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Licences {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
    /// For cargo-deny alone: a licence in the list that no crate needs is no fault.
    #[serde(rename = "unused-allowed-license")]
    _unused: Option<String>,
    /// For cargo-deny alone: our own crates are in the graph, and not published.
    #[serde(rename = "private")]
    _private: Option<toml::Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Bans {
    multiple_versions: String,
    /// Crates that may be there in several versions.
    #[serde(default)]
    skip: Vec<Named>,
    #[serde(default)]
    deny: Vec<Named>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Named {
    /// `name` or `name@version`.
    #[serde(rename = "crate")]
    name: String,
    /// For people.
    #[serde(rename = "reason")]
    _reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Sources {
    unknown_registry: String,
    unknown_git: String,
    allow_registry: Vec<String>,
    #[serde(default)]
    allow_git: Vec<String>,
}

impl Policy {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| Failure::failed(format!("cannot read {}: {error}", path.display())))?;
        toml::from_str(&text).map_err(|error| Failure::failed(format!("{FILE}: {error}")))
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.graph
    }

    /// Everything among the packages that the policy does not allow.
    pub(super) fn problems(&self, packages: &[Package]) -> Vec<String> {
        let each = packages.iter().flat_map(|package| [self.licence(package), self.ban(package), self.source(package)]);
        each.flatten().chain(self.duplicates(packages)).collect()
    }

    fn licence(&self, package: &Package) -> Option<String> {
        let more = self.licenses.exceptions.iter().filter(|exception| exception.name == package.name);
        let accepted: Vec<_> =
            self.licenses.allow.iter().chain(more.flat_map(|exception| &exception.allow)).cloned().collect();
        let expression = package.license.as_deref().unwrap_or_default();
        let satisfied = is_satisfied(expression, &accepted);
        (!satisfied)
            .then(|| format!("{} {}: the licence `{expression}` is not accepted", package.name, package.version))
    }

    fn ban(&self, package: &Package) -> Option<String> {
        let banned = self.bans.deny.iter().any(|named| named.names(package));
        banned.then(|| format!("{} {}: the crate is banned", package.name, package.version))
    }

    fn source(&self, package: &Package) -> Option<String> {
        let source = package.source.as_deref()?;
        let (kind, place) = source.split_once('+').unwrap_or(("", source));
        let (rule, allowed) = match kind {
            "git" => (&self.sources.unknown_git, &self.sources.allow_git),
            _ => (&self.sources.unknown_registry, &self.sources.allow_registry),
        };
        let place = place.split(['?', '#']).next().unwrap_or(place);
        let unknown = rule == "deny" && !allowed.iter().any(|known| known == place);
        unknown
            .then(|| format!("{} {}: comes from {source}, which is no accepted source", package.name, package.version))
    }

    fn duplicates(&self, packages: &[Package]) -> Vec<String> {
        if self.bans.multiple_versions != "deny" {
            return Vec::new();
        }
        let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for package in packages.iter().filter(|package| !self.bans.skip.iter().any(|named| named.names(package))) {
            versions.entry(&package.name).or_default().push(&package.version);
        }
        let several = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
        several.map(|(name, versions)| format!("{name}: there in several versions: {}", versions.join(", "))).collect()
    }
}

impl Named {
    fn names(&self, package: &Package) -> bool {
        match self.name.split_once('@') {
            Some((name, version)) => name == package.name && version == package.version,
            None => self.name == package.name,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"
        [graph]
        targets = []
        all-features = true
        [licenses]
        allow = ["MIT"]
        exceptions = [{ crate = "odd", allow = ["Zlib"] }]
        [bans]
        multiple-versions = "deny"
        skip = [{ crate = "twice@1.0.0", reason = "" }]
        deny = [{ crate = "bad", reason = "" }]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
        allow-registry = ["https://index"]
    "#;
    const HERE: &str = "registry+https://index";

    fn problems(packages: &[Package]) -> usize {
        let policy: Policy = toml::from_str(POLICY).expect("the policy is well-formed");
        policy.problems(packages).len()
    }

    #[test]
    fn what_the_policy_allows_passes() {
        assert_eq!(problems(&[Package::of("a", "1.0.0", "MIT", HERE), Package::of("odd", "1.0.0", "Zlib", HERE)]), 0);
        assert_eq!(
            problems(&[Package::of("twice", "1.0.0", "MIT", HERE), Package::of("twice", "2.0.0", "MIT", HERE)]),
            0
        );
    }

    #[test]
    fn each_rule_is_told_when_it_is_broken() {
        assert_eq!(problems(&[Package::of("a", "1.0.0", "GPL-3.0", HERE)]), 1);
        assert_eq!(problems(&[Package::of("a", "1.0.0", "", HERE)]), 1);
        assert_eq!(problems(&[Package::of("bad", "1.0.0", "MIT", HERE)]), 1);
        assert_eq!(problems(&[Package::of("a", "1.0.0", "MIT", "registry+https://elsewhere")]), 1);
        assert_eq!(problems(&[Package::of("a", "1.0.0", "MIT", "git+https://index#abc")]), 1);
        assert_eq!(problems(&[Package::of("a", "1.0.0", "MIT", HERE), Package::of("a", "2.0.0", "MIT", HERE)]), 1);
    }

    #[test]
    fn a_key_that_is_not_kept_is_refused() {
        assert!(toml::from_str::<Policy>(&POLICY.replace("all-features", "no-such-key")).is_err());
    }
}
