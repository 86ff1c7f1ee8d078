//! Tables of the keys of a language.
//!
//! A row of a table contains its reader, so a key cannot be listed and then be ignored. Reading, "did you mean", the
//! JSON Schema and the masking of excerpts all use the same rows.

use serde_json::Value as Json;

use super::{
    DiagnosticCode, DocumentCode, Node, Pair, PathElement, Report, Visibility, did_you_mean,
    mapping, quoted,
};

/// A key at one level of a language, read into a `T`.
pub struct Key<T: 'static> {
    /// Its name, type and description.
    pub info: KeyInfo,
    /// Reads the value into the target.
    pub read: fn(&mut T, &Pair, &mut Report),
}

/// The name, type and description of a key.
#[derive(Clone, Copy, Debug)]
pub struct KeyInfo {
    /// As it is written.
    pub name: &'static str,
    /// The type of its value.
    pub value: ValueType,
    /// One sentence.
    pub doc: &'static str,
}

/// The type of a value.
#[derive(Clone, Copy, Debug)]
pub struct ValueType {
    /// Its JSON Schema.
    pub schema: fn() -> Json,
    /// How much of it an excerpt may show.
    pub visibility: Visibility,
    /// Whether null is the same as leaving the key out.
    pub nullable: bool,
}

/// The mappings at one level of a language, read into a `T`.
pub struct Level<T: 'static> {
    /// The name of such a mapping in messages, such as "a descriptor".
    pub name: &'static str,
    /// Its name in the `$defs` of the JSON Schema.
    pub definition: &'static str,
    /// The keys that the JSON Schema requires.
    pub required: &'static [&'static str],
    /// A level whose keys this one has, too.
    pub base: Option<&'static Level<T>>,
    /// Its own keys.
    pub keys: &'static [Key<T>],
}

/// All levels of a language.
pub struct Language {
    /// The first is the root.
    pub levels: &'static [&'static dyn AnyLevel],
    /// Keys that are allowed at every level, with a finding of this code where they have no meaning.
    pub ignored: Option<(&'static [&'static str], DiagnosticCode)>,
    /// Keys of other languages, and what to write in their place.
    pub foreign: &'static [(&'static str, &'static str)],
}

/// A level without the type of its target.
pub trait AnyLevel: Sync {
    /// Its name in messages.
    fn name(&self) -> &'static str;
    /// Its name in the JSON Schema.
    fn definition(&self) -> &'static str;
    /// The keys that the JSON Schema requires.
    fn required(&self) -> &'static [&'static str];
    /// Its own keys.
    fn own_keys(&self) -> Vec<&'static KeyInfo>;
    /// Its keys, with those of its base.
    fn keys(&self) -> Vec<&'static KeyInfo>;
}

impl<T> AnyLevel for Level<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn definition(&self) -> &'static str {
        self.definition
    }

    fn required(&self) -> &'static [&'static str] {
        self.required
    }

    fn own_keys(&self) -> Vec<&'static KeyInfo> {
        self.keys.iter().map(|key| &key.info).collect()
    }

    fn keys(&self) -> Vec<&'static KeyInfo> {
        let base = self.base.into_iter().flat_map(|base| base.keys);
        base.chain(self.keys).map(|key| &key.info).collect()
    }
}

impl<T> Key<T> {
    /// A row of a table.
    pub const fn new(
        name: &'static str,
        value: ValueType,
        doc: &'static str,
        read: fn(&mut T, &Pair, &mut Report),
    ) -> Self {
        let info = KeyInfo { name, value, doc };
        Self { info, read }
    }
}

impl ValueType {
    /// A type whose values an excerpt may show, and where null is the same as leaving the key out.
    pub const fn new(schema: fn() -> Json) -> Self {
        Self {
            schema,
            visibility: Visibility::Shown,
            nullable: true,
        }
    }

    /// The same type with another visibility.
    pub const fn visible(self, visibility: Visibility) -> Self {
        Self { visibility, ..self }
    }

    /// The same type without null.
    pub const fn not_null(self) -> Self {
        let nullable = false;
        Self { nullable, ..self }
    }
}

impl<T> Level<T> {
    /// Reads a mapping into `target`, key by key. Returns whether all of its keys are known; `None` and a finding for
    /// a node that is not a mapping.
    pub fn read(
        &self,
        node: &Node,
        target: &mut T,
        language: &Language,
        report: &mut Report,
    ) -> Option<bool> {
        let mut all_known = true;
        for pair in mapping(node, report)? {
            match self.find(&pair.key) {
                Some(key) if key.info.value.nullable && pair.node.is_null() => {}
                Some(key) => report.within(PathElement::Key(key.info.name), |report| {
                    (key.read)(target, pair, report);
                }),
                None => all_known &= language.report_unknown(pair, self, report),
            }
        }
        Some(all_known)
    }

    fn find(&self, name: &str) -> Option<&'static Key<T>> {
        let base = self.base.and_then(|base| base.find(name));
        base.or_else(|| self.keys.iter().find(|key| key.info.name == name))
    }
}

impl Language {
    /// Every row of every level.
    pub fn keys(&self) -> impl Iterator<Item = &'static KeyInfo> {
        self.levels.iter().flat_map(|level| level.own_keys())
    }

    /// Reports a key that `level` does not have; returns whether it is only ignored.
    fn report_unknown(&self, pair: &Pair, level: &dyn AnyLevel, report: &mut Report) -> bool {
        let (key, position) = (quoted(&pair.key), Some(pair.position));
        let elsewhere = self.levels_with(&pair.key);
        if let Some((ignored, code)) = self.ignored
            && ignored.contains(&&*pair.key)
        {
            let message = format!("{key} has no meaning in {} and is ignored", level.name());
            let help = elsewhere.unwrap_or_else(|| "remove it".to_owned());
            report.add_with_help(code, position, message, help);
            return true;
        }
        let foreign = self.foreign.iter().find(|(name, _)| **name == *pair.key);
        let foreign = foreign.map(|(_, help)| (*help).to_owned());
        let names = level.keys().into_iter().map(|key| key.name);
        let code = DocumentCode::UnknownKey;
        if let Some(help) = elsewhere
            .or(foreign)
            .or_else(|| did_you_mean(&pair.key, names))
        {
            report.add_with_help(code, position, format!("unknown key {key}"), help);
        } else if pair.node.is_null() {
            // In `{value: a, b}`, `b` is a key without a value that was meant as a part of the value.
            let help = "put text with a comma in quotes";
            report.add_with_help(code, position, "a key without a value", help);
        } else {
            report.add(code, position, format!("unknown key {key}"));
        }
        false
    }

    /// Help that names the levels that have a key of that name.
    fn levels_with(&self, name: &str) -> Option<String> {
        let has_key = |level: &&&dyn AnyLevel| level.own_keys().iter().any(|key| key.name == name);
        let levels = self.levels.iter().filter(has_key);
        let names: Vec<&str> = levels.map(|level| level.name()).collect();
        (!names.is_empty()).then(|| format!("it belongs in {}", names.join(" or ")))
    }
}
