//! What a declared setting can do: be read, be shown, be compared, be described.
//!
//! [`keys`](super::keys) declares them with the two macros of this file.

use serde_json::Value;
use toml::de::DeValue;

use super::kinds::{Kind, Shape};
use super::reader::Table;

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// With the reload.
    Live,
    /// With the next start: a socket, a file or a client was opened with it.
    Restart,
    /// With the reload, except that only a start switches it on or off.
    SwitchedAtStart,
}

/// What people and editors are told about a setting.
#[derive(Clone, Debug)]
pub struct About {
    /// Its name in its section.
    pub key: &'static str,
    /// What it is for and why its default is what it is.
    pub doc: String,
    /// What may be written.
    pub shape: Shape,
    /// What holds where nothing is written; null where nothing is set.
    pub default: Value,
    /// When a change takes effect.
    pub effect: Effect,
    /// Whether it must be written, as there is no default.
    pub required: bool,
}

/// A setting that lives in `S`.
pub(super) trait Setting<S>: Sync {
    /// Its name in its section.
    fn key(&self) -> &'static str;

    /// When a change takes effect.
    fn effect(&self) -> Effect;

    /// What documentation says; its default is what `defaults` has.
    fn about(&self, defaults: &S) -> About;

    /// Reads it from its section; `S` keeps its value where nothing is written, and where what
    /// is written is wrong.
    fn read(&self, target: &mut S, table: &mut Table<'_, '_>);

    /// As operators may see it.
    fn show(&self, source: &S) -> Value;

    fn differs(&self, old: &S, new: &S) -> bool;

    fn copy(&self, from: &S, to: &mut S);
}

/// A declaration: see the macros below.
pub(super) struct Declared<S: 'static, T: 'static> {
    pub(super) key: &'static str,
    pub(super) doc: &'static str,
    pub(super) kind: &'static dyn Kind<T>,
    pub(super) effect: Effect,
    /// What to write where it is missing; none: it has a default.
    pub(super) required: Option<&'static str>,
    pub(super) get: fn(&S) -> &T,
    pub(super) get_mut: fn(&mut S) -> &mut T,
}

impl<S, T: Clone + PartialEq> Setting<S> for Declared<S, T> {
    fn key(&self) -> &'static str {
        self.key
    }

    fn effect(&self) -> Effect {
        self.effect
    }

    fn about(&self, defaults: &S) -> About {
        let lines: Vec<_> = self.doc.lines().map(str::trim).collect();
        About {
            key: self.key,
            doc: lines.join("\n"),
            shape: self.kind.shape(),
            default: self.show(defaults),
            effect: self.effect,
            required: self.required.is_some(),
        }
    }

    fn read(&self, target: &mut S, table: &mut Table<'_, '_>) {
        let parse = |given: &DeValue<'_>| self.kind.parse(given);
        match table.get(self.key, &self.kind.shape(), parse) {
            Some(value) => *(self.get_mut)(target) = value,
            None => {
                if let Some(missing) = self.required {
                    table.require(self.key, missing);
                }
            }
        }
    }

    fn show(&self, source: &S) -> Value {
        self.kind.show((self.get)(source))
    }

    fn differs(&self, old: &S, new: &S) -> bool {
        (self.get)(old) != (self.get)(new)
    }

    fn copy(&self, from: &S, to: &mut S) {
        (self.get_mut)(to).clone_from((self.get)(from));
    }
}

/// Declares settings that live in an existing type. The type comes first, as a pattern with every
/// field, so that a new field does not compile until somebody has looked here.
macro_rules! settings_of {
    (
        $target:ident { $($pattern:tt)* }
        $(
            $(#[doc = $doc:literal])+
            $key:literal => $($path:ident).+: $kind:expr, $effect:ident
            $(, required $missing:literal)?;
        )+
    ) => {
        &{
            const _: fn(&$target) = |target| {
                let $target { $($pattern)* } = target;
            };
            [$(
                &Declared {
                    key: $key,
                    doc: concat!($($doc, "\n"),+),
                    kind: &$kind,
                    effect: Effect::$effect,
                    required: settings_of!(@required $($missing)?),
                    get: |target: &$target| &target.$($path).+,
                    get_mut: |target: &mut $target| &mut target.$($path).+,
                } as &dyn Setting<$target>,
            )+]
        }
    };
    (@required) => { None };
    (@required $missing:literal) => { Some($missing) };
}

/// Declares a section with the type that holds it.
macro_rules! section {
    (
        $(#[$meta:meta])*
        $name:ident {
            $(
                $(#[doc = $doc:literal])+
                $key:literal => $field:ident: $type:ty = $default:expr, $kind:expr, $effect:ident
                $(, required $missing:literal)?;
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $type,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            pub(super) const KEYS: &'static [&'static dyn Setting<Self>] = settings_of!(
                $name { $($field: _),+ }
                $(
                    $(#[doc = $doc])+
                    $key => $field: $kind, $effect $(, required $missing)?;
                )+
            );
        }
    };
}

pub(super) use {section, settings_of};
