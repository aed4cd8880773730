//! The crates we depend on, as `cargo metadata` tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::failure::{Failure, Result};

/// Which part of the graph counts.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Scope {
    /// The platforms whose dependencies count; all if there is none.
    targets: Vec<String>,
    all_features: bool,
    /// Members of the workspace that are left out, with what only they use.
    #[serde(default)]
    exclude: Vec<String>,
}

/// One crate.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
    /// Nothing for a crate of this workspace.
    pub(super) source: Option<String>,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_members: BTreeSet<String>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

/// Every crate from elsewhere that the workspace uses, as far as `scope` reaches.
pub(super) fn read(root: &Path, scope: &Scope) -> Result<Vec<Package>> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--format-version", "1", "--locked"]).current_dir(root);
    if scope.all_features {
        cargo.arg("--all-features");
    }
    for target in &scope.targets {
        cargo.args(["--filter-platform", target]);
    }
    let output = cargo.output().map_err(|error| Failure::failed(format!("cannot start cargo metadata: {error}")))?;
    if !output.status.success() {
        return Err(Failure::failed(format!(
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        )));
    }
    let metadata = serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::failed(format!("cannot read cargo metadata: {error}")))?;
    Ok(reached(&metadata, scope))
}

/// What is reached from the members that are not left out.
fn reached(metadata: &Metadata, scope: &Scope) -> Vec<Package> {
    let packages: BTreeMap<_, _> = metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let edges: BTreeMap<_, _> = metadata.resolve.nodes.iter().map(|node| (&node.id, &node.dependencies)).collect();
    let is_left_out = |id: &String| packages.get(id).is_some_and(|package| scope.exclude.contains(&package.name));
    let mut queue: Vec<_> = metadata.workspace_members.iter().filter(|id| !is_left_out(id)).collect();
    let mut seen: BTreeSet<_> = queue.iter().copied().collect();
    while let Some(id) = queue.pop() {
        for next in edges.get(id).into_iter().flat_map(|dependencies| dependencies.iter()) {
            if seen.insert(next) {
                queue.push(next);
            }
        }
    }
    let from_elsewhere = seen.into_iter().filter_map(|id| packages.get(id)).filter(|package| package.source.is_some());
    from_elsewhere.map(|package| (*package).clone()).collect()
}

#[cfg(test)]
impl Package {
    pub(super) fn of(name: &str, version: &str, license: &str, source: &str) -> Self {
        Self {
            id: format!("{name} {version}"),
            name: name.to_owned(),
            version: version.to_owned(),
            license: (!license.is_empty()).then(|| license.to_owned()),
            source: Some(source.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_counted_members_use_is_reached() {
        let package = |id: &str, source: Option<&str>| Package {
            id: id.to_owned(),
            name: id.to_owned(),
            version: "1.0.0".to_owned(),
            license: None,
            source: source.map(str::to_owned),
        };
        let node = |id: &str, dependencies: &[&str]| Node {
            id: id.to_owned(),
            dependencies: dependencies.iter().map(|id| (*id).to_owned()).collect(),
        };
        let metadata = Metadata {
            packages: vec![
                package("ours", None),
                package("bench", None),
                package("used", Some("x")),
                package("rival", Some("x")),
            ],
            workspace_members: BTreeSet::from(["ours".to_owned(), "bench".to_owned()]),
            resolve: Resolve {
                nodes: vec![node("ours", &["used"]), node("bench", &["ours", "rival"]), node("used", &[])],
            },
        };
        let names = |exclude: &[&str]| {
            let exclude = exclude.iter().map(|name| (*name).to_owned()).collect();
            let found = reached(&metadata, &Scope { targets: Vec::new(), all_features: true, exclude });
            found.into_iter().map(|package| package.name).collect::<Vec<_>>()
        };
        assert_eq!(names(&["bench"]), ["used"]);
        assert_eq!(names(&[]), ["rival", "used"]);
    }
}
