//! What `#[serde(…)]` and `#[schema(…)]` say, and what of it no schema can honour.

use proc_macro2::{Span, TokenTree};
use syn::{
    Attribute, Error, Field, LitStr, Path, Result, Token, Type, Variant, WherePredicate, meta::ParseNestedMeta,
    parse::Parser as _, punctuated::Punctuated,
};

use super::rename::Rule;

/// What stands on the type.
#[derive(Default)]
pub(super) struct Container {
    pub(super) name: Option<String>,
    pub(super) rename_all: Rule,
    pub(super) rename_all_fields: Rule,
    pub(super) has_default: bool,
    pub(super) is_strict: bool,
    pub(super) is_transparent: bool,
    pub(super) tagging: Tagging,
    /// Where the module `schema` is.
    pub(super) path: Option<Path>,
    /// The type that it is written as.
    pub(super) written_as: Option<Type>,
    pub(super) bound: Option<Vec<WherePredicate>>,
}

/// How an enum says which variant it is.
#[derive(Default)]
pub(super) enum Tagging {
    #[default]
    External,
    Internal(String),
    Adjacent(String, String),
    Untagged,
}

impl Container {
    pub(super) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        let (mut tag, mut content, mut is_untagged) = (None, None, false);
        let mut refused = None;
        for attribute in attributes {
            if attribute.path().is_ident("schema") {
                attribute.parse_nested_meta(|meta| options.schema(&meta))?;
            } else if attribute.path().is_ident("serde") {
                attribute.parse_nested_meta(|meta| {
                    match word(&meta).as_str() {
                        "rename" => options.name = Some(both(&meta)?.value()),
                        "rename_all" => options.rename_all = Rule::of(&both(&meta)?)?,
                        "rename_all_fields" => options.rename_all_fields = Rule::of(&both(&meta)?)?,
                        "deny_unknown_fields" => options.is_strict = true,
                        "transparent" => options.is_transparent = true,
                        "untagged" => is_untagged = true,
                        "tag" => tag = Some(text(&meta)?.value()),
                        "content" => content = Some(text(&meta)?.value()),
                        "default" => {
                            options.has_default = true;
                            skip(&meta)?;
                        }
                        "bound" | "crate" | "expecting" => skip(&meta)?,
                        "from" | "try_from" | "into" => {
                            let what = "it is written as another type; say which: `#[schema(as = Type)]` on this one";
                            refused.get_or_insert_with(|| meta.error(what));
                            skip(&meta)?;
                        }
                        other => return Err(unknown(&meta, other)),
                    }
                    Ok(())
                })?;
            }
        }
        options.tagging = match (tag, content, is_untagged) {
            (None, _, true) => Tagging::Untagged,
            (None, _, false) => Tagging::External,
            (Some(tag), None, _) => Tagging::Internal(tag),
            (Some(tag), Some(content), _) => Tagging::Adjacent(tag, content),
        };
        match refused {
            Some(error) if options.written_as.is_none() => Err(error),
            _ => Ok(options),
        }
    }

    fn schema(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        match word(meta).as_str() {
            "crate" => self.path = Some(meta.value()?.parse()?),
            "as" => self.written_as = Some(meta.value()?.parse()?),
            "bound" => {
                let text = text(meta)?;
                let predicates = Punctuated::<WherePredicate, Token![,]>::parse_terminated;
                self.bound = Some(predicates.parse_str(&text.value())?.into_iter().collect());
            }
            _ => return Err(meta.error("expected `crate = path::of::schema`, `as = Type` or `bound = \"T: Schema\"`")),
        }
        Ok(())
    }
}

/// What stands on a variant.
#[derive(Default)]
pub(super) struct VariantOptions {
    pub(super) name: Option<String>,
    pub(super) rename_all: Option<Rule>,
    pub(super) aliases: Vec<String>,
    pub(super) is_skipped: bool,
    pub(super) is_other: bool,
}

impl VariantOptions {
    pub(super) fn of(variant: &Variant) -> Result<Self> {
        let mut options = Self::default();
        let mut skips = Skips::default();
        for attribute in variant.attrs.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                match word(&meta).as_str() {
                    "rename" => options.name = Some(both(&meta)?.value()),
                    "rename_all" => options.rename_all = Some(Rule::of(&both(&meta)?)?),
                    "alias" => options.aliases.push(text(&meta)?.value()),
                    "other" => options.is_other = true,
                    "bound" | "borrow" => skip(&meta)?,
                    "with" | "serialize_with" | "deserialize_with" => {
                        return Err(meta.error("what a function writes for a variant nobody can know; put the function on its field"));
                    }
                    "untagged" => {
                        return Err(meta.error("a variant without a name among others with one has no schema; make all of the enum `untagged`, or none"));
                    }
                    word if skips.takes(word, &meta) => {}
                    other => return Err(unknown(&meta, other)),
                }
                Ok(())
            })?;
        }
        options.is_skipped = skips.finish()?;
        drop_doubles(&mut options.aliases, options.name.as_deref());
        Ok(options)
    }
}

/// What stands on a field.
#[derive(Default)]
pub(super) struct FieldOptions {
    pub(super) name: Option<String>,
    pub(super) aliases: Vec<String>,
    pub(super) has_default: bool,
    pub(super) is_skipped: bool,
    pub(super) is_sometimes: bool,
    pub(super) is_flattened: bool,
    /// Whether serde is told by `serde_bytes` that it is bytes.
    pub(super) is_bytes: bool,
    /// Whether a function reads it: then an option must be there, for serde knows no longer that it is one.
    pub(super) has_own_reader: bool,
    pub(super) written_as: Option<Type>,
}

impl FieldOptions {
    pub(super) fn of(field: &Field) -> Result<Self> {
        let mut options = Self::default();
        let mut skips = Skips::default();
        let mut refused: Option<Error> = None;
        let mut flattened_at = None;
        for attribute in &field.attrs {
            if attribute.path().is_ident("schema") {
                attribute.parse_nested_meta(|meta| {
                    if !meta.path.is_ident("as") {
                        return Err(meta.error("expected `as = Type`: what the field is written as"));
                    }
                    options.written_as = Some(meta.value()?.parse()?);
                    Ok(())
                })?;
            } else if attribute.path().is_ident("serde") {
                attribute.parse_nested_meta(|meta| {
                    match word(&meta).as_str() {
                        "rename" => options.name = Some(both(&meta)?.value()),
                        "alias" => options.aliases.push(text(&meta)?.value()),
                        "default" => {
                            options.has_default = true;
                            skip(&meta)?;
                        }
                        "flatten" => {
                            options.is_flattened = true;
                            flattened_at = Some(meta.path.segments[0].ident.span());
                        }
                        "skip_serializing_if" => {
                            options.is_sometimes = true;
                            skip(&meta)?;
                        }
                        "bound" | "borrow" => skip(&meta)?,
                        word @ ("with" | "serialize_with" | "deserialize_with") => {
                            options.has_own_reader |= word != "serialize_with";
                            let function = text(&meta)?.value();
                            if word == "with" && function.trim_start_matches("::") == "serde_bytes" {
                                options.is_bytes = true;
                            } else if refused.is_none() {
                                let what = format!("what `{function}` writes nobody can know; say it beside: `#[schema(as = String)]`, or whichever type looks the same");
                                refused = Some(meta.error(what));
                            }
                        }
                        "getter" => return Err(meta.error("a getter belongs to a type of another crate; derive the schema where the type is")),
                        word if skips.takes(word, &meta) => {}
                        other => return Err(unknown(&meta, other)),
                    }
                    Ok(())
                })?;
            }
        }
        options.is_skipped = skips.finish()?;
        if let (Some(error), None, false) = (refused, &options.written_as, options.is_skipped) {
            return Err(error);
        }
        if let Some(at) = flattened_at
            && (options.has_default || options.is_sometimes || options.has_own_reader)
        {
            let what = "a field that is flattened and has a default, a function or is sometimes left out: its fields would be there all or none, which a \
                        schema cannot say; give its own fields defaults";
            return Err(Error::new(at, what));
        }
        drop_doubles(&mut options.aliases, options.name.as_deref());
        Ok(options)
    }
}

/// An alias twice, or of the name itself, says nothing more.
fn drop_doubles(aliases: &mut Vec<String>, name: Option<&str>) {
    let mut seen: Vec<String> = name.map(str::to_owned).into_iter().collect();
    aliases.retain(|alias| {
        let is_new = !seen.contains(alias);
        seen.push(alias.clone());
        is_new
    });
}

/// `skip`, or its two halves, of which one alone makes a type that is written otherwise than it is read.
#[derive(Default)]
struct Skips {
    both: bool,
    writing: Option<Span>,
    reading: Option<Span>,
}

impl Skips {
    fn takes(&mut self, word: &str, meta: &ParseNestedMeta<'_>) -> bool {
        let at = meta.path.segments[0].ident.span();
        match word {
            "skip" => self.both = true,
            "skip_serializing" => self.writing = Some(at),
            "skip_deserializing" => self.reading = Some(at),
            _ => return false,
        }
        true
    }

    fn finish(self) -> Result<bool> {
        match (self.both, self.writing, self.reading) {
            (true, ..) | (_, Some(_), Some(_)) => Ok(true),
            (false, None, None) => Ok(false),
            (_, Some(at), _) | (_, _, Some(at)) => Err(Error::new(
                at,
                "it is written otherwise than it is read, and a schema says both; use `skip`, or two types",
            )),
        }
    }
}

fn word(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(ToString::to_string).unwrap_or_default()
}

fn unknown(meta: &ParseNestedMeta<'_>, word: &str) -> Error {
    meta.error(format!(
        "`{word}` may change what serde writes, and a schema cannot say how; leave it out, or say what the type is written as: `#[schema(as = Type)]`"
    ))
}

fn text(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    meta.value()?.parse()
}

/// `= "x"`, or `(serialize = "x", deserialize = "x")` if the two are one.
fn both(meta: &ParseNestedMeta<'_>) -> Result<LitStr> {
    if !meta.input.peek(syn::token::Paren) {
        return text(meta);
    }
    let (mut written, mut read) = (None, None);
    meta.parse_nested_meta(|half| {
        match word(&half).as_str() {
            "serialize" => written = Some(text(&half)?),
            "deserialize" => read = Some(text(&half)?),
            _ => return Err(half.error("expected `serialize` or `deserialize`")),
        }
        Ok(())
    })?;
    match (written, read) {
        (Some(written), Some(read)) if written.value() == read.value() => Ok(written),
        _ => Err(meta.error(
            "one name to write and another to read: a schema has one; use `rename` for it and `alias` for the other",
        )),
    }
}

/// Steps over a value of whatever form.
fn skip(meta: &ParseNestedMeta<'_>) -> Result<()> {
    while !meta.input.is_empty() && !meta.input.peek(Token![,]) {
        meta.input.parse::<TokenTree>()?;
    }
    Ok(())
}
