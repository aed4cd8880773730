//! `#[derive(Schema)]`: reads a type and its serde attributes, writes the code that tells its shape.
//!
//! An attribute that changes what serde writes is either told by the schema or refused here, with what to do instead: a schema that says something
//! else than serde does would let two sides meet that cannot read each other.

mod attributes;
mod rename;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{
    Data, DataEnum, DeriveInput, Error, Field, Fields, Ident, Path, Result, Type, WherePredicate, parse_quote, parse2,
    spanned::Spanned,
};

use self::{
    attributes::{Container, FieldOptions, Tagging, VariantOptions},
    rename::Rule,
};

/// `home` is where the crate's module `schema` is, unless an attribute says otherwise.
pub(crate) fn derive(input: TokenStream, home: Path) -> TokenStream {
    match parse2(input).and_then(|input| expand(&input, home)) {
        Ok(tokens) => tokens,
        Err(error) => error.to_compile_error(),
    }
}

fn expand(input: &DeriveInput, home: Path) -> Result<TokenStream> {
    let container = Container::of(&input.attrs)?;
    let home = container.path.clone().unwrap_or(home);
    let mut writer = Writer { home, bounds: Vec::new(), input };
    let name = container.name.clone().unwrap_or_else(|| plain(&input.ident));
    let told = match (&container.written_as, &input.data) {
        (Some(ty), _) => {
            let shape = writer.shape(ty);
            Told { shape, absent: Some(writer.absent(ty)), flat: None }
        }
        (None, Data::Struct(data)) => writer.of_struct(&container, &name, &data.fields)?,
        (None, Data::Enum(data)) => writer.of_enum(&container, &name, data)?,
        (None, Data::Union(_)) => {
            return Err(Error::new(input.ident.span(), "a union has no schema: nobody could say which field is meant"));
        }
    };
    Ok(writer.implementation(&container, &told))
}

/// What a type tells, as code.
struct Told {
    shape: TokenStream,
    /// Whether it may be absent, if that is not no.
    absent: Option<TokenStream>,
    /// Its fields, if they can stand in another struct.
    flat: Option<TokenStream>,
}

struct Writer<'a> {
    home: Path,
    /// Types that must have a schema themselves.
    bounds: Vec<WherePredicate>,
    input: &'a DeriveInput,
}

impl Writer<'_> {
    fn of_struct(&mut self, container: &Container, name: &str, fields: &Fields) -> Result<Told> {
        let home = self.home.clone();
        if !matches!(container.tagging, Tagging::External) {
            let what =
                "`tag` on a struct has no place in a schema; make it an enum with one variant, or a field of its own";
            return Err(Error::new(self.input.ident.span(), what));
        }
        if container.is_transparent {
            return self.transparent(name, fields);
        }
        match fields {
            Fields::Named(_) => {
                let (fields, is_flattened) = self.fields(fields, container.rename_all, container)?;
                let is_strict = container.is_strict;
                if is_strict && is_flattened {
                    let what = "`deny_unknown_fields` and `flatten` do not go together: serde does not support it";
                    return Err(Error::new(self.input.ident.span(), what));
                }
                let body = quote!(#home::Body::Struct { fields: #fields, is_strict: #is_strict });
                let shape = named(name, &body);
                Ok(Told { shape, absent: None, flat: (!is_strict).then_some(fields) })
            }
            Fields::Unnamed(unnamed) if unnamed.unnamed.len() == 1 => {
                let field = &unnamed.unnamed[0];
                let options = FieldOptions::of(field)?;
                if options.is_skipped {
                    return Err(Error::new(
                        field.span(),
                        "a newtype whose value is skipped has no schema; use a unit struct",
                    ));
                }
                let shape = self.field_shape(field, &options);
                Ok(Told { shape: inline(name, &shape), absent: None, flat: None })
            }
            Fields::Unnamed(_) => {
                let items = self.items(fields)?;
                let shape = quote!(#home::Shape::Tuple(::std::vec![#(#items),*]));
                Ok(Told { shape: inline(name, &shape), absent: None, flat: None })
            }
            Fields::Unit => Ok(Told { shape: quote!(#home::Shape::Marker), absent: None, flat: None }),
        }
    }

    fn transparent(&mut self, name: &str, fields: &Fields) -> Result<Told> {
        let mut held = Vec::new();
        for field in fields {
            let options = FieldOptions::of(field)?;
            if !options.is_skipped && !options.has_default && !is_phantom(&field.ty) {
                held.push((field, options));
            }
        }
        let [(field, options)] = held.as_slice() else {
            return Err(Error::new(
                self.input.ident.span(),
                "`transparent` needs exactly one field that is not skipped",
            ));
        };
        let shape = self.field_shape(field, options);
        let absent = (!options.has_own_reader).then(|| self.absent(options.written_as.as_ref().unwrap_or(&field.ty)));
        Ok(Told { shape: inline(name, &shape), absent, flat: None })
    }

    fn of_enum(&mut self, container: &Container, name: &str, data: &DataEnum) -> Result<Told> {
        let home = self.home.clone();
        let mut variants = Vec::new();
        for variant in &data.variants {
            let options = VariantOptions::of(variant)?;
            if options.is_skipped {
                continue;
            }
            let variant_name =
                options.name.clone().unwrap_or_else(|| container.rename_all.of_variant(&plain(&variant.ident)));
            let content = match &variant.fields {
                Fields::Unit => quote!(#home::Content::Unit),
                Fields::Named(_) => {
                    let rule = options.rename_all.unwrap_or(container.rename_all_fields);
                    let (fields, is_flattened) = self.fields(&variant.fields, rule, container)?;
                    let is_strict = container.is_strict;
                    if is_strict && is_flattened {
                        let what = "`deny_unknown_fields` and `flatten` do not go together: serde does not support it";
                        return Err(Error::new(variant.span(), what));
                    }
                    quote!(#home::Content::Struct { fields: #fields, is_strict: #is_strict })
                }
                Fields::Unnamed(unnamed) => {
                    let items = self.items(&variant.fields)?;
                    if unnamed.unnamed.len() == 1 && items.is_empty() {
                        quote!(#home::Content::Unit)
                    } else if unnamed.unnamed.len() > 1 && items.len() == 1 {
                        let what = "a tuple of which all but one value are skipped is written as a list of one, which a schema cannot tell \
                                    from a single value; leave the skipped values out";
                        return Err(Error::new(variant.span(), what));
                    } else {
                        quote!(#home::Content::Tuple(::std::vec![#(#items),*]))
                    }
                }
            };
            let (is_other, aliases) = (options.is_other, &options.aliases);
            variants.push(quote! {
                #home::Variant {
                    name: ::std::string::String::from(#variant_name),
                    content: #content,
                    is_other: #is_other,
                    aliases: ::std::vec![#(::std::string::String::from(#aliases)),*],
                }
            });
        }
        let tagging = match &container.tagging {
            Tagging::External => quote!(External),
            Tagging::Internal(tag) => quote!(Internal { tag: ::std::string::String::from(#tag) }),
            Tagging::Adjacent(tag, content) => quote!(Adjacent {
                tag: ::std::string::String::from(#tag),
                content: ::std::string::String::from(#content),
            }),
            Tagging::Untagged => quote!(Untagged),
        };
        let variants = quote!(::std::vec![#(#variants),*]);
        let body = quote!(#home::Body::Enum { tagging: #home::Tagging::#tagging, variants: #variants });
        Ok(Told { shape: named(name, &body), absent: None, flat: None })
    }

    /// The code that makes a list of fields with names, and whether one of them is flattened.
    fn fields(&mut self, fields: &Fields, rule: Rule, container: &Container) -> Result<(TokenStream, bool)> {
        let home = self.home.clone();
        let mut is_flattened = false;
        let mut lines = Vec::new();
        for field in fields {
            let options = FieldOptions::of(field)?;
            if options.is_skipped {
                continue;
            }
            if options.is_flattened {
                is_flattened = true;
                let ty = options.written_as.as_ref().unwrap_or(&field.ty);
                self.bind(ty, &parse_quote!(#home::Flat));
                lines.push(quote_spanned!(ty.span()=> fields.extend({
                    definitions.note_flattened();
                    <#ty as #home::Flat>::fields(definitions)
                });));
                continue;
            }
            let ident = field.ident.as_ref().expect("fields of braces have names");
            let name = options.name.clone().unwrap_or_else(|| rule.of_field(&plain(ident)));
            let shape = self.field_shape(field, &options);
            let absent = match options.has_own_reader {
                true => quote!(false),
                false => self.absent(options.written_as.as_ref().unwrap_or(&field.ty)),
            };
            let has_default =
                options.has_default || (container.has_default && matches!(self.input.data, Data::Struct(_)));
            let (is_sometimes, aliases) = (options.is_sometimes, &options.aliases);
            lines.push(quote! {
                let mut field = #home::Field::new(#name, #shape);
                field.has_default = #has_default;
                field.is_required = !#absent;
                field.is_sometimes = #is_sometimes;
                field.aliases = ::std::vec![#(::std::string::String::from(#aliases)),*];
                fields.push(field);
            });
        }
        let code = quote!({
            #[allow(unused_mut)]
            let mut fields = ::std::vec::Vec::new();
            #(#lines)*
            fields
        });
        Ok((code, is_flattened))
    }

    /// The shapes of values without names.
    fn items(&mut self, fields: &Fields) -> Result<Vec<TokenStream>> {
        let mut items = Vec::new();
        for field in fields {
            let options = FieldOptions::of(field)?;
            if options.is_sometimes {
                let what = "a value without a name that is sometimes left out moves all others; give the fields names";
                return Err(Error::new(field.span(), what));
            }
            if !options.is_skipped {
                items.push(self.field_shape(field, &options));
            }
        }
        Ok(items)
    }

    fn field_shape(&mut self, field: &Field, options: &FieldOptions) -> TokenStream {
        let home = self.home.clone();
        match (&options.written_as, options.is_bytes) {
            (Some(ty), _) => self.shape(ty),
            (None, true) if last_segment(&field.ty).is_some_and(|name| name == "Option") => {
                quote!(#home::Shape::Option(::std::boxed::Box::new(#home::Shape::Bytes)))
            }
            (None, true) => quote!(#home::Shape::Bytes),
            (None, false) => self.shape(&field.ty),
        }
    }

    fn shape(&mut self, ty: &Type) -> TokenStream {
        let home = self.home.clone();
        self.bind(ty, &parse_quote!(#home::Schema));
        quote_spanned!(ty.span()=> <#ty as #home::Schema>::shape(definitions))
    }

    fn absent(&self, ty: &Type) -> TokenStream {
        let home = &self.home;
        quote_spanned!(ty.span()=> <#ty as #home::Schema>::MAY_BE_ABSENT)
    }

    /// Each parameter that the type names must have what the type needs. Not the type itself: one that contains itself would never end.
    fn bind(&mut self, ty: &Type, needed: &Path) {
        if is_phantom(ty) {
            return;
        }
        for parameter in self.input.generics.type_params().map(|parameter| &parameter.ident) {
            if names(quote!(#ty), parameter) {
                self.bounds.push(parse_quote!(#parameter: #needed));
            }
        }
    }

    fn implementation(self, container: &Container, told: &Told) -> TokenStream {
        let (home, name) = (&self.home, &self.input.ident);
        let mut generics = self.input.generics.clone();
        if !self.bounds.is_empty() || container.bound.is_some() {
            let clause = generics.make_where_clause();
            clause.predicates.extend(container.bound.clone().unwrap_or(self.bounds));
        }
        let (parameters, arguments, clause) = generics.split_for_impl();
        let shape = &told.shape;
        let absent = told.absent.as_ref().map(|absent| quote!(const MAY_BE_ABSENT: bool = #absent;));
        let flat = told.flat.as_ref().map(|fields| {
            quote! {
                #[automatically_derived]
                impl #parameters #home::Flat for #name #arguments #clause {
                    fn fields(definitions: &mut #home::Definitions) -> ::std::vec::Vec<#home::Field> {
                        let _ = &definitions;
                        #fields
                    }
                }
            }
        });
        quote! {
            #[automatically_derived]
            impl #parameters #home::Schema for #name #arguments #clause {
                #absent
                fn shape(definitions: &mut #home::Definitions) -> #home::Shape {
                    let _ = &definitions;
                    #shape
                }
            }
            #flat
        }
    }
}

fn named(name: &str, body: &TokenStream) -> TokenStream {
    let place = place();
    quote!(definitions.named::<Self>(#place, #name, |definitions| { let _ = &definitions; #body }))
}

fn inline(name: &str, shape: &TokenStream) -> TokenStream {
    let place = place();
    quote!(definitions.inline::<Self>(#place, #name, |definitions| { let _ = &definitions; #shape }))
}

/// Where the derive stands: two types of one full name, in two blocks of one function, are two types.
fn place() -> TokenStream {
    quote!(::core::concat!(::core::file!(), ":", ::core::line!(), ":", ::core::column!()))
}

/// The name without `r#`.
fn plain(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

fn is_phantom(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|name| name == "PhantomData")
}

fn last_segment(ty: &Type) -> Option<&Ident> {
    match ty {
        Type::Path(path) => path.path.segments.last().map(|segment| &segment.ident),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

fn names(tokens: TokenStream, wanted: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        proc_macro2::TokenTree::Ident(ident) => ident == *wanted,
        proc_macro2::TokenTree::Group(group) => names(group.stream(), wanted),
        _ => false,
    })
}

#[cfg(test)]
mod tests;
