//! The project as the rules see it: every text file, read once.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Result};
use crate::rust::Unit;

/// The files of the project, by path from its root.
pub(super) struct Tree {
    root: PathBuf,
    files: BTreeMap<PathBuf, String>,
}

/// A rule that is broken, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    file: PathBuf,
    line: Option<usize>,
    what: String,
}

/// Folders that hold no text of ours, wherever they stand. Hidden folders are left out too, but for those of CI.
const NOT_OURS: [&str; 4] = ["target", "node_modules", "corpus", "artifacts"];
const HIDDEN_OURS: [&str; 3] = [".ci", ".github", ".cargo"];
/// Kinds of files that a rule reads.
const TEXT: [&str; 5] = ["rs", "md", "toml", "py", "sh"];

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self { root: root.to_path_buf(), files: BTreeMap::new() };
        tree.read_folder(root)?;
        Ok(tree)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    pub(super) fn text(&self, file: &Path) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }

    /// The files whose name ends in `.extension`.
    pub(super) fn with_extension<'a>(&'a self, extension: &'a str) -> impl Iterator<Item = (&'a Path, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.extension().is_some_and(|found| found == extension))
            .map(|(path, text)| (path.as_path(), text.as_str()))
    }

    /// The folders that hold a package, each with its `Cargo.toml`.
    pub(super) fn packages(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().filter_map(|(path, text)| {
            let is_manifest = path.file_name().is_some_and(|name| name == "Cargo.toml") && text.contains("[package]");
            is_manifest.then(|| (path.parent().expect("a file is in a folder"), text.as_str()))
        })
    }

    /// The compilation units of the package in `folder`, found as Cargo finds them; a fuzz package names its targets by folder.
    pub(super) fn units(&self, folder: &Path) -> Vec<Unit> {
        let standard = ["src/lib.rs", "src/main.rs", "build.rs"].map(|file| folder.join(file));
        let standard = standard.into_iter().filter(|file| self.files.contains_key(file));
        let one_per_file = ["src/bin", "tests", "examples", "benches", "targets"].map(|inside| folder.join(inside));
        let several = self.files.keys().filter(|file| {
            let parent = file.parent().expect("a file is in a folder");
            let is_file =
                file.extension().is_some_and(|e| e == "rs") && one_per_file.iter().any(|place| place == parent);
            let is_main = file.ends_with("main.rs")
                && parent.parent().is_some_and(|above| one_per_file.iter().any(|place| place == above));
            is_file || is_main
        });
        let roots: Vec<_> = standard.chain(several.cloned()).collect();
        roots.iter().map(|root| Unit::read(root, &|path| self.files.get(path).cloned())).collect()
    }

    fn read_folder(&mut self, folder: &Path) -> Result<()> {
        let unreadable = |error| Failure::failed(format!("cannot read {}: {error}", folder.display()));
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                let is_ours = !NOT_OURS.contains(&name.as_str())
                    && (!name.starts_with('.') || HIDDEN_OURS.contains(&name.as_str()));
                if is_ours {
                    self.read_folder(&path)?;
                }
            } else if kind.is_file() && path.extension().is_some_and(|e| TEXT.iter().any(|known| *known == e)) {
                let text = fs::read_to_string(&path)
                    .map_err(|error| Failure::failed(format!("cannot read {} as text: {error}", path.display())))?;
                let inside = path.strip_prefix(&self.root).expect("the walk started at the root").to_path_buf();
                self.files.insert(inside, text);
            }
        }
        Ok(())
    }

    /// A tree that exists on paper only, for the controls of the rules.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        Self { root: PathBuf::from("/nowhere"), files }
    }
}

impl Finding {
    pub(super) fn at(file: &Path, line: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line: Some(line), what: what.into() }
    }

    pub(super) fn of(file: &Path, what: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line: None, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.what),
            None => write!(f, "{}: {}", self.file.display(), self.what),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_walk_takes_our_text_and_leaves_the_rest() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in
            [("a/b.rs", "x"), ("target/c.rs", "x"), (".git/d.md", "x"), (".ci/e.sh", "x"), ("f.bin", "\u{0}")]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let tree = Tree::read(folder.path()).unwrap();
        let found: Vec<_> = tree.files.keys().map(|path| path.display().to_string()).collect();
        assert_eq!(found, [".ci/e.sh", "a/b.rs"]);
    }
}
