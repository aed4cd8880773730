//! Paths inside one compilation unit: which file names an item of which other file.
//!
//! What counts as a reference: a path that starts with `crate`, `super`, `self` or the name of a child module, in a `use` or in code.
//! What does not: a `mod` line, and a `pub use`, which says where a thing is found and not that it is needed. A name that a module
//! hands on, by any `use`, is followed to the file that defines it. So a `lib.rs` of `mod` lines and re-exports has no edges, and a
//! file that says `crate::Thing` points at the file where `Thing` is written.

use std::collections::BTreeMap;

use super::modules::Unit;
use super::tokens::{Kind, Token};

/// One mention in `from` of something that `to` defines. Both are module paths; inline modules count as the file they stand in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reference {
    pub(crate) from: Vec<String>,
    pub(crate) to: Vec<String>,
    pub(crate) line: usize,
}

/// Every reference between different files of the unit, tests left out.
pub(crate) fn references(unit: &Unit) -> Vec<Reference> {
    let mentions: Vec<_> = unit
        .modules
        .iter()
        .filter(|(_, module)| !module.is_test)
        .flat_map(|(path, module)| {
            Reader { unit, home: path, tokens: &module.tokens, found: Vec::new() }
                .run()
                .into_iter()
                .map(move |mention| (path, mention))
        })
        .collect();
    let mut names = Names::new();
    for (path, mention) in &mentions {
        if let Some(name) = &mention.name {
            names.insert(((*path).clone(), name.clone()), mention.target.clone());
        }
    }
    let mut found = Vec::new();
    for (from, mention) in &mentions {
        if mention.is_export {
            continue;
        }
        let to = resolve(unit, &names, &mention.target, 0);
        if to != **from {
            found.push(Reference { from: (*from).clone(), to, line: mention.line });
        }
    }
    found
}

/// Where the names come from that a module takes in with `use`: (module, name) to the absolute path.
type Names = BTreeMap<(Vec<String>, String), Vec<String>>;

/// How many re-exports are followed before a path is taken to stand where it is; more would be a circle of `use`s.
const MAX_HOPS: usize = 16;

/// The module with a file that defines what the absolute path `target` names.
fn resolve(unit: &Unit, names: &Names, target: &[String], hops: usize) -> Vec<String> {
    let mut module: Vec<String> = Vec::new();
    for (at, segment) in target.iter().enumerate() {
        let mut deeper = module.clone();
        deeper.push(segment.clone());
        if unit.modules.contains_key(&deeper) {
            module = deeper;
            continue;
        }
        if let Some(source) = names.get(&(module.clone(), segment.clone()))
            && hops < MAX_HOPS
            && source != target
        {
            let mut onward = source.clone();
            onward.extend_from_slice(&target[at + 1..]);
            return resolve(unit, names, &onward, hops + 1);
        }
        break;
    }
    module
}

/// A path as it is written in one file, made absolute.
struct Mention {
    target: Vec<String>,
    line: usize,
    /// The name it has in this file from now on, if a `use` gave it one.
    name: Option<String>,
    is_export: bool,
}

struct Reader<'a> {
    unit: &'a Unit,
    home: &'a [String],
    tokens: &'a [Token],
    found: Vec<Mention>,
}

impl Reader<'_> {
    fn run(mut self) -> Vec<Mention> {
        let mut at = 0;
        while at < self.tokens.len() {
            at = if self.tokens[at].is_ident("use") {
                let is_export = at > 0 && (self.tokens[at - 1].is_ident("pub") || self.tokens[at - 1].is_punct(')'));
                self.tree(at + 1, Vec::new(), is_export)
            } else {
                self.expression(at)
            };
        }
        self.found
    }

    /// Reads a path in code; gives the place after it.
    fn expression(&mut self, at: usize) -> usize {
        let follows_path = at > 0 && (self.tokens[at - 1].kind == Kind::PathSep || self.tokens[at - 1].is_punct('.'));
        let starts_path = self.tokens[at].ident().is_some() && self.kind_at(at + 1) == Some(&Kind::PathSep);
        if follows_path || !starts_path {
            return at + 1;
        }
        let mut segments = Vec::new();
        let mut next = at;
        while let Some(segment) = self.tokens.get(next).and_then(Token::ident) {
            segments.push(segment.to_owned());
            if self.kind_at(next + 1) != Some(&Kind::PathSep) {
                next += 1;
                break;
            }
            next += 2;
        }
        let is_macro = self.kind_at(next) == Some(&Kind::Punct('!'));
        if !is_macro && let Some(target) = self.absolute(&segments) {
            self.found.push(Mention { target, line: self.tokens[at].line, name: None, is_export: false });
        }
        next
    }

    /// Reads a `use` tree from `at`, below `prefix`; gives the place after it.
    fn tree(&mut self, mut at: usize, prefix: Vec<String>, is_export: bool) -> usize {
        let mut segments = prefix;
        let line = self.tokens.get(at).map_or(0, |token| token.line);
        loop {
            match self.kind_at(at) {
                Some(Kind::Ident(word)) if word == "as" => {
                    let name = self.tokens.get(at + 1).and_then(Token::ident).map(str::to_owned);
                    self.mention(segments, line, name, is_export);
                    return at + 2;
                }
                Some(Kind::Ident(word)) => {
                    segments.push(word.clone());
                    at += 1;
                }
                Some(Kind::PathSep) => at += 1,
                Some(Kind::Punct('{')) => {
                    at += 1;
                    while self.kind_at(at).is_some_and(|kind| *kind != Kind::Punct('}')) {
                        if self.kind_at(at) == Some(&Kind::Punct(',')) {
                            at += 1;
                        } else {
                            at = self.tree(at, segments.clone(), is_export);
                        }
                    }
                    return at + 1;
                }
                Some(Kind::Punct('*')) => {
                    self.mention(segments, line, None, is_export);
                    return at + 1;
                }
                _ => {
                    let name = segments
                        .last()
                        .filter(|last| *last != "self")
                        .or_else(|| segments.iter().rev().nth(1))
                        .cloned();
                    self.mention(segments, line, name, is_export);
                    // The caller sees the `,` or `}` that ended this leaf; any other token is stepped over so that reading goes on.
                    let ends_leaf = matches!(self.kind_at(at), Some(Kind::Punct(',' | '}')) | None);
                    return if ends_leaf { at } else { at + 1 };
                }
            }
        }
    }

    fn mention(&mut self, segments: Vec<String>, line: usize, name: Option<String>, is_export: bool) {
        if let Some(target) = self.absolute(&segments) {
            self.found.push(Mention { target, line, name, is_export });
        }
    }

    /// The path from the root of the unit, if the path leads into the unit.
    fn absolute(&self, segments: &[String]) -> Option<Vec<String>> {
        let mut base: Vec<String> = match segments.first()?.as_str() {
            "crate" => Vec::new(),
            "self" | "super" => self.home.to_vec(),
            child if self.unit.modules[self.home].children.contains(child) => {
                let mut base = self.home.to_vec();
                base.push(child.to_owned());
                base
            }
            _ => return None,
        };
        let ups = segments.iter().take_while(|segment| *segment == "super").count();
        base.truncate(base.len().saturating_sub(ups));
        let rest = segments.iter().skip(ups.max(1)).filter(|segment| *segment != "self").cloned();
        base.extend(rest);
        Some(base)
    }

    fn kind_at(&self, at: usize) -> Option<&Kind> {
        self.tokens.get(at).map(|token| &token.kind)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn edges(files: &[(&str, &str)]) -> Vec<String> {
        let unit = Unit::read(Path::new("src/lib.rs"), &|path| {
            files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned())
        });
        let mut found: Vec<_> =
            references(&unit).iter().map(|r| format!("{}>{}:{}", r.from.join("."), r.to.join("."), r.line)).collect();
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn a_re_export_is_followed_and_is_no_edge_itself() {
        let found = edges(&[
            ("src/lib.rs", "mod a;\nmod b;\npub use a::{Thing, Other as Else};"),
            ("src/a.rs", "pub struct Thing; pub struct Other;"),
            ("src/b.rs", "use crate::Thing;\nfn f() -> crate::Else { crate::a::g() }"),
        ]);
        assert_eq!(found, ["b>a:1", "b>a:2"]);
    }

    #[test]
    fn trees_supers_and_paths_in_code_are_read() {
        let found = edges(&[
            ("src/lib.rs", "mod a; mod b; mod c;"),
            ("src/a.rs", "mod x; mod y;"),
            ("src/a/x.rs", "use super::{y::{self, Y}, z};\nuse crate::{b, c::*};"),
            ("src/a/y.rs", "\nfn f() { super::super::b::g() }"),
            ("src/b.rs", ""),
            ("src/c.rs", "use std::collections::BTreeMap; use other::a::b;"),
        ]);
        assert_eq!(found, ["a.x>a.y:1", "a.x>a:1", "a.x>b:2", "a.x>c:2", "a.y>b:2"]);
    }

    #[test]
    fn a_parent_that_works_with_its_child_has_an_edge() {
        let found = edges(&[("src/lib.rs", "mod a;\nfn f() { a::g() }"), ("src/a.rs", "use crate::f;")]);
        assert_eq!(found, [">a:2", "a>:1"]);
    }
}
