//! Changes of a type: those that the agreement allows, and others.

use crosstie_core::schema::Integer;
use fastrand::Rng;

use super::model::{Carried, Choice, Fields, Model, NAMES, Named};

/// Changes something somewhere in what the reader reads.
pub(crate) fn edit(model: &mut Model, rng: &mut Rng, allowed_only: bool) {
    if rng.u8(0..3) > 0 && step_in(model, rng, allowed_only) {
        return;
    }
    if !allowed_only && rng.u8(0..3) == 0 {
        break_it(model, rng);
        return;
    }
    match model {
        Model::Integer(integer) => {
            let wider: Vec<_> = Integer::ALL.into_iter().filter(|wider| wider.holds(*integer)).collect();
            *integer = wider[rng.usize(0..wider.len())];
        }
        Model::F32 => *model = Model::F64,
        Model::List(item) | Model::Set(item) if rng.bool() => {
            let item = item.clone();
            *model = if rng.bool() { Model::List(item) } else { Model::Set(item) };
        }
        Model::Array(item, _) if rng.bool() => *model = Model::List(item.clone()),
        Model::Struct(fields) if rng.u8(0..5) > 0 => edit_fields(fields, rng),
        Model::Enum(choices) if rng.u8(0..5) > 0 => edit_choices(choices, rng),
        _ => *model = Model::Option(Box::new(model.clone())),
    }
}

/// Goes to something inside, if there is any.
fn step_in(model: &mut Model, rng: &mut Rng, allowed_only: bool) -> bool {
    let inner = match model {
        Model::Option(item) | Model::List(item) | Model::Set(item) | Model::Array(item, _) | Model::Map(item) => {
            Some(&mut **item)
        }
        Model::Tuple(items) => pick(items, rng),
        Model::Struct(fields) => pick(&mut fields.fields, rng).map(|field| &mut field.model),
        Model::Enum(choices) => pick(choices, rng).and_then(|choice| match &mut choice.carried {
            Carried::Nothing => None,
            Carried::Values(items) => pick(items, rng),
            Carried::Fields(fields) => pick(&mut fields.fields, rng).map(|field| &mut field.model),
        }),
        _ => None,
    };
    inner.map(|inner| edit(inner, rng, allowed_only)).is_some()
}

fn edit_fields(fields: &mut Fields, rng: &mut Rng) {
    match rng.u8(0..6) {
        0 => rng.shuffle(&mut fields.fields),
        1 => fields.is_strict = false,
        2 if !fields.is_strict && !fields.fields.is_empty() => {
            fields.fields.swap_remove(rng.usize(0..fields.fields.len()));
        }
        3 => {
            if let Some(field) = pick(&mut fields.fields, rng) {
                field.has_default = true;
            }
        }
        4 => rename(fields, rng),
        _ => add_field(fields, rng, true),
    }
    // The writer's field may now be an option, sometimes there, or renamed; a reader of both sides' making is lenient about those.
    for field in &mut fields.fields {
        field.has_default |= field.is_sometimes;
    }
}

fn rename(fields: &mut Fields, rng: &mut Rng) {
    let free = free_names(fields);
    if let (Some(field), Some(&name)) = (pick(&mut fields.fields, rng), free.first()) {
        let old = std::mem::replace(&mut field.name, name);
        field.aliases.push(old);
    }
}

fn add_field(fields: &mut Fields, rng: &mut Rng, is_lenient: bool) {
    // Only a name that no writer has: with another, what was an extra field before is read as this one.
    if let Some(&name) = free_names(fields).last() {
        let mut field = Named::random(name, rng, 1);
        field.has_default |= is_lenient;
        fields.fields.push(field);
    }
}

fn free_names(fields: &Fields) -> Vec<&'static str> {
    let is_free = |name: &&str| !fields.fields.iter().any(|field| field.name == *name || field.aliases.contains(name));
    ["new1", "new2", "new3", "new4", "new5"].into_iter().filter(is_free).collect()
}

fn edit_choices(choices: &mut Vec<Choice>, rng: &mut Rng) {
    let is_free = |name: &&str| !choices.iter().any(|choice| choice.name == *name || choice.aliases.contains(name));
    let free: Vec<_> = ["new1", "new2", "new3", "new4", "new5"].into_iter().filter(is_free).collect();
    let Some(&name) = free.first() else { return };
    match rng.u8(0..4) {
        0 => rng.shuffle(choices),
        1 => {
            if let Some(choice) = pick(choices, rng) {
                let old = std::mem::replace(&mut choice.name, name);
                choice.aliases.push(old);
            }
        }
        2 if !choices.iter().any(|choice| choice.is_other) => {
            choices.push(Choice { name, aliases: Vec::new(), is_other: true, carried: Carried::Nothing });
        }
        _ => choices.push(Choice::random(name, rng, 1)),
    }
}

/// Anything at all, most of it not allowed.
fn break_it(model: &mut Model, rng: &mut Rng) {
    match model {
        Model::Option(item) => *model = (**item).clone(),
        Model::Array(_, count) => *count = rng.usize(0..4),
        Model::Tuple(items) => items.push(Model::leaf(rng)),
        Model::Struct(fields) => match rng.u8(0..7) {
            0 => fields.is_strict = true,
            1 => add_field(fields, rng, false),
            2 => {
                if let Some(field) = pick(&mut fields.fields, rng) {
                    field.has_default = false;
                }
            }
            3 if fields.fields.len() > 1 => {
                // One field answers for two.
                let gone = fields.fields.swap_remove(rng.usize(0..fields.fields.len()));
                let kept = pick(&mut fields.fields, rng).expect("one is left");
                kept.aliases.push(gone.name);
            }
            4 if !fields.fields.is_empty() => {
                fields.fields.swap_remove(rng.usize(0..fields.fields.len()));
                fields.is_strict = rng.bool();
            }
            5 => {
                if let Some(field) = pick(&mut fields.fields, rng) {
                    field.is_required = true;
                    field.has_default = false;
                }
            }
            _ => *model = Model::Struct(Fields::random(rng, 1)),
        },
        Model::Enum(choices) => match rng.u8(0..4) {
            0 if choices.len() > 1 => {
                choices.swap_remove(rng.usize(0..choices.len()));
            }
            1 if choices.len() > 1 && !choices.iter().any(|choice| choice.is_other) => {
                let gone = choices.swap_remove(rng.usize(0..choices.len()));
                let is_free = |name: &&&str| {
                    **name != gone.name
                        && !choices.iter().any(|choice| choice.name == **name || choice.aliases.contains(*name))
                };
                if let Some(name) = NAMES.iter().find(is_free) {
                    choices.push(Choice { name, aliases: Vec::new(), is_other: true, carried: Carried::Nothing });
                }
            }
            2 => {
                if let Some(choice) = pick(choices, rng)
                    && !choice.is_other
                {
                    choice.carried = Choice::random("", rng, 1).carried;
                }
            }
            _ => *model = Model::leaf(rng),
        },
        _ => *model = Model::random(rng, 1),
    }
}

fn pick<'a, T>(items: &'a mut [T], rng: &mut Rng) -> Option<&'a mut T> {
    if items.is_empty() { None } else { items.get_mut(rng.usize(0..items.len())) }
}
