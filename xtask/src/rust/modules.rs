//! Modules of one compilation unit: which file each `mod` line leads to, read from the root file down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::tokens::{Token, tokens, without_tests};

/// A root file (a `lib.rs`, a `main.rs`, an integration test) and every file its `mod` lines reach.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    /// Module path (`["nats", "parser"]`; the root is empty) to the module.
    pub(crate) modules: BTreeMap<Vec<String>, Module>,
}

/// One module that has a file of its own.
#[derive(Debug)]
pub(crate) struct Module {
    pub(crate) file: PathBuf,
    /// Reached through `#[cfg(test)]` only.
    pub(crate) is_test: bool,
    /// The tokens of the file, tests left out.
    pub(crate) tokens: Vec<Token>,
    /// Names of the child modules, those without a file too.
    pub(crate) children: BTreeSet<String>,
}

impl Unit {
    /// Reads the unit whose root file is `root`. `read` gives the text of a file, or nothing if there is no such file.
    pub(crate) fn read(root: &Path, read: &dyn Fn(&Path) -> Option<String>) -> Self {
        let mut unit = Self::default();
        let folder = root.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
        unit.add(Vec::new(), root.to_path_buf(), folder, false, read);
        unit
    }

    /// Every file of the unit.
    pub(crate) fn files(&self) -> impl Iterator<Item = &Path> {
        self.modules.values().map(|module| module.file.as_path())
    }

    fn add(
        &mut self,
        path: Vec<String>,
        file: PathBuf,
        children_in: PathBuf,
        is_test: bool,
        read: &dyn Fn(&Path) -> Option<String>,
    ) {
        let Some(source) = read(&file) else { return };
        let all = tokens(&source);
        let kept = without_tests(&all);
        let compiled: BTreeSet<_> = declarations(&kept).into_iter().map(|found| found.path).collect();
        let mut children = BTreeSet::new();
        for found in declarations(&all) {
            if let [name] = found.path.as_slice() {
                children.insert(name.clone());
            }
            if found.has_body {
                continue;
            }
            let name = found.path.last().expect("a declaration has a name").clone();
            let mut folder = children_in.clone();
            folder.extend(&found.path[..found.path.len() - 1]);
            let candidates = [folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")];
            let Some(child) = candidates.into_iter().find(|candidate| read(candidate).is_some()) else {
                continue;
            };
            let is_test = is_test || !compiled.contains(&found.path);
            let mut child_path = path.clone();
            child_path.extend(found.path);
            self.add(child_path, child, folder.join(name), is_test, read);
        }
        self.modules.insert(path, Module { file, is_test, tokens: kept, children });
    }
}

/// One `mod name;` or `mod name { … }`. `#[path = …]` is not understood: the project has no use for it.
struct Declaration {
    /// The name, after those of the inline modules around it.
    path: Vec<String>,
    has_body: bool,
}

fn declarations(tokens: &[Token]) -> Vec<Declaration> {
    let mut found = Vec::new();
    // The inline modules that are open here, each with the depth of braces inside it.
    let mut open: Vec<(String, usize)> = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        if token.is_punct('{') {
            depth += 1;
        } else if token.is_punct('}') {
            depth = depth.saturating_sub(1);
            open.retain(|(_, inside)| *inside <= depth);
        }
        let (true, Some(name)) = (token.is_ident("mod"), tokens.get(at + 1).and_then(Token::ident)) else {
            continue;
        };
        let Some(next) = tokens.get(at + 2) else { continue };
        if !(next.is_punct(';') || next.is_punct('{')) {
            continue;
        }
        let mut path: Vec<String> = open.iter().map(|(name, _)| name.clone()).collect();
        path.push(name.to_owned());
        let has_body = next.is_punct('{');
        if has_body {
            open.push((name.to_owned(), depth + 1));
        }
        found.push(Declaration { path, has_body });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(files: &[(&str, &str)]) -> Unit {
        Unit::read(Path::new("src/lib.rs"), &|path| {
            files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn mod_lines_lead_to_files_in_both_layouts() {
        let unit = unit(&[
            ("src/lib.rs", "mod a; mod b; mod inline { mod deep; }"),
            ("src/a.rs", "mod c;"),
            ("src/a/c.rs", ""),
            ("src/b/mod.rs", "mod d;"),
            ("src/b/d.rs", ""),
            ("src/inline/deep.rs", ""),
            ("src/stray.rs", ""),
        ]);
        let files: Vec<_> = unit.files().map(|file| file.display().to_string()).collect();
        assert_eq!(files, ["src/lib.rs", "src/a.rs", "src/a/c.rs", "src/b/mod.rs", "src/b/d.rs", "src/inline/deep.rs"]);
    }

    #[test]
    fn a_module_under_cfg_test_is_a_test_and_so_are_its_children() {
        let unit = unit(&[
            ("src/lib.rs", "mod a; #[cfg(test)] mod tests;"),
            ("src/a.rs", ""),
            ("src/tests.rs", "mod more;"),
            ("src/tests/more.rs", ""),
        ]);
        let tests: Vec<_> = unit
            .modules
            .values()
            .filter(|module| module.is_test)
            .map(|module| module.file.display().to_string())
            .collect();
        assert_eq!(tests, ["src/tests.rs", "src/tests/more.rs"]);
    }
}
