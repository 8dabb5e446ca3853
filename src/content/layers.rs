//! The layers of content: what is shipped, and on top of it what a site has put in its own directory.
//!
//! What has an id (rules, models, parsers, field maps) is replaced by a site's file with the same id, whatever its name; what
//! has none (tables, `commandline.toml`, `enrichment.toml`) by a file of the same name. Anything else adds. Files that end in
//! `.override.toml` patch single values instead. Each item knows from which file it came, what that replaced, and whether the
//! shipped version is still the one that the site's was written for.

use super::based_on::{BasedOn, Version};
use super::fault::{Fault, Faults};
use super::files::{ContentFile, ContentFiles, OVERRIDE_SUFFIX};
use super::section::{Document, Section};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

/// Where a site's additions stand among the files: behind the shipped ones, whose order is then the same with and without
/// them. No file has such a name.
const ADDITIONS: &str = "~site/";

/// What a file of content defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `rules/*.toml`.
    Rule,
    /// `models/*.toml`.
    Model,
    /// `parsers/*.toml`.
    Parser,
    /// `fieldmaps/*.toml`.
    FieldMap,
    /// `tables/*.txt`.
    Table,
    /// A file that stands alone.
    File,
}

impl Kind {
    /// Its name for users.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Rule => "rule",
            Kind::Model => "model",
            Kind::Parser => "parser",
            Kind::FieldMap => "field map",
            Kind::Table => "table",
            Kind::File => "file",
        }
    }

    /// The kind of a file, by its name in the tree.
    pub fn of(name: &str) -> Kind {
        match name.split_once('/').map(|(folder, _)| folder) {
            Some("rules") => Kind::Rule,
            Some("models") => Kind::Model,
            Some("parsers") => Kind::Parser,
            Some("fieldmaps") => Kind::FieldMap,
            Some("tables") => Kind::Table,
            _ => Kind::File,
        }
    }

    /// Whether its files name an id.
    fn has_ids(self) -> bool {
        matches!(self, Kind::Rule | Kind::Model | Kind::Parser | Kind::FieldMap)
    }
}

/// Which layer an item in force comes from, and what was changed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What it is.
    pub kind: Kind,
    /// Its id; the name of a table or file.
    pub id: String,
    /// The file in force, as the user knows it.
    pub file: String,
    /// Whether a site wrote it.
    pub of_site: bool,
    /// The shipped file that it replaces.
    pub replaces: Option<String>,
    /// The patches: what they change and where they stand.
    pub patches: Vec<Patched>,
    /// The version of the shipped item, where there is one.
    pub shipped: Option<Version>,
}

/// A patch of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patched {
    /// The keys that it sets.
    pub keys: Vec<String>,
    /// `file:line`.
    pub place: String,
    /// Why, in the words of who wrote it.
    pub reason: String,
}

impl Item {
    /// Where it comes from: `shipped` or the site's file, and the places of its patches.
    pub fn origin(&self) -> String {
        let file = if self.of_site { self.file.as_str() } else { "shipped" };
        let patches = self.patches.iter().map(|patch| patch.place.as_str());
        std::iter::once(file).chain(patches).collect::<Vec<_>>().join(" + ")
    }

    /// The same for a person, a line each: what replaces what, and which patch sets what, and why.
    pub fn story(&self) -> Vec<String> {
        let own = match (&self.replaces, self.of_site) {
            (_, false) => "as shipped".to_owned(),
            (None, true) => "the site's own".to_owned(),
            (Some(shipped), true) => format!("replaces the shipped {shipped}"),
        };
        let patch = |p: &Patched| format!("{} set in {}: {}", p.keys.join(", "), p.place, p.reason);
        std::iter::once(own).chain(self.patches.iter().map(patch)).collect()
    }
}

/// All content: the files in force, the patches, and where everything comes from.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// The files in force.
    pub files: ContentFiles,
    /// The site's files with patches and exceptions, by name.
    pub patches: Vec<Document>,
    /// What the files in force define, by kind and id.
    pub items: Vec<Item>,
    /// What somebody should know and nothing is refused for.
    pub notes: Vec<Fault>,
}

impl Layers {
    /// Shipped content alone, with its tests.
    pub fn shipped() -> Layers {
        Layers::of(ContentFiles::shipped())
    }

    /// Shipped files alone.
    pub(super) fn of(shipped: ContentFiles) -> Layers {
        Layers::with(shipped, ContentFiles::default(), &mut Faults::default())
    }

    /// Shipped files with a site's directory on top.
    pub(super) fn with_site(shipped: ContentFiles, dir: &Path, faults: &mut Faults) -> Layers {
        let mut notes = Vec::new();
        let site = ContentFiles::of_site(dir, faults, &mut notes);
        let mut layers = Layers::with(shipped, site, faults);
        layers.notes.extend(notes);
        layers
    }

    /// Shipped files with a site's on top.
    pub(super) fn with(shipped: ContentFiles, site: ContentFiles, faults: &mut Faults) -> Layers {
        let mut layers = Layers { files: shipped, ..Layers::default() };
        let mut below = BTreeMap::new();
        for (name, item) in shipped_items() {
            layers.items.push(item.clone());
            below.insert((item.kind, item.id.clone()), (name.clone(), item.shipped.clone()));
        }
        for (name, file) in site.0 {
            if name.ends_with(OVERRIDE_SUFFIX) {
                layers.patches.push(Document::new(&file.shown, &file.text));
                continue;
            }
            layers.put(name, file, &mut below, faults);
        }
        layers.items.sort_by(|a, b| (a.kind, &a.id, &a.file).cmp(&(b.kind, &b.id, &b.file)));
        layers
    }

    /// What is shipped of this, without what a site has replaced, patched or added; `None` when that is all there is.
    pub fn shipped_part(&self) -> Option<Layers> {
        if self.patches.is_empty() && self.files.0.values().all(|file| file.shipped) {
            return None;
        }
        let mut files = ContentFiles::shipped();
        files.0.extend(
            self.files.0.iter().filter(|(_, file)| file.shipped).map(|(name, file)| (name.clone(), file.clone())),
        );
        Some(Layers::of(files))
    }

    /// Puts a site's file in its place.
    fn put(
        &mut self,
        name: String,
        file: ContentFile,
        below: &mut BTreeMap<(Kind, String), (String, Option<Version>)>,
        faults: &mut Faults,
    ) {
        let kind = Kind::of(&name);
        let Defined { id, based_on, version: own } = defined_by(&name, &file, faults);
        let shipped_twin = below.values().any(|(shipped, _)| *shipped == name);
        // Taken away: a second file with the same id replaces nothing, it is one too many.
        let replaced = id.as_ref().and_then(|id| below.remove(&(kind, id.clone())));
        let shown = file.shown.clone();
        let mut item = Item {
            kind,
            id: id.clone().unwrap_or_default(),
            file: shown.clone(),
            of_site: true,
            replaces: None,
            patches: Vec::new(),
            shipped: None,
        };
        let what = format!("{} {}", kind.name(), item.id);
        match replaced {
            Some((shipped, version)) => {
                let line = based_on.as_ref().map_or(0, |(_, line)| *line);
                let based_on = based_on.map(|(based_on, _)| based_on);
                // A copy that says the same is no reason for a word.
                let differs = version.as_ref().filter(|_| based_on.is_some() || own != version);
                if let Some(message) = differs.and_then(|v| v.compare(based_on.as_ref())) {
                    self.notes.push(Fault { file: shown, line, item: what, message });
                }
                self.items.retain(|i| (i.kind, Some(&i.id)) != (kind, id.as_ref()) || i.of_site);
                (item.replaces, item.shipped) = (Some(shipped.clone()), version);
                self.files.0.insert(shipped, file);
            }
            None => {
                if let Some((_, line)) = based_on {
                    let message =
                        "based_on names a shipped version, but nothing that is shipped has this id; remove it";
                    self.notes.push(Fault { file: shown, line, item: what, message: message.into() });
                } else if shipped_twin && id.is_some() {
                    let message = format!(
                        "replaces nothing: the shipped {name} has another id and stays in force; \
                         a file replaces what has its id"
                    );
                    self.notes.push(Fault { file: shown, line: 0, item: what, message });
                }
                let place = match name.split_once('/') {
                    Some((folder, rest)) if kind.has_ids() => format!("{folder}/{ADDITIONS}{rest}"),
                    _ => name,
                };
                self.files.0.insert(place, file);
            }
        }
        if id.is_some() {
            self.items.push(item);
        }
    }

    /// The item of a kind with an id.
    pub fn item(&self, kind: Kind, id: &str) -> Option<&Item> {
        self.items.iter().find(|i| i.kind == kind && i.id == id)
    }

    /// Notes a patch of an item, and says whether the shipped version is still the one that it was written for.
    pub(super) fn note_patch(
        &mut self,
        (kind, id): (Kind, &str),
        patch: Patched,
        based_on: Option<&BasedOn>,
    ) -> Option<String> {
        let item = self.items.iter_mut().find(|i| i.kind == kind && i.id == id)?;
        item.patches.push(patch);
        item.shipped.as_ref()?.compare(based_on)
    }
}

/// What a file says of itself.
struct Defined {
    /// The id; none in a file that cannot be read as TOML or names none.
    id: Option<String>,
    version: Option<Version>,
    based_on: Option<(BasedOn, usize)>,
}

/// Reads what the layers need of a file. Faults are those of the header alone: whoever compiles the file reports the rest.
fn defined_by(name: &str, file: &ContentFile, faults: &mut Faults) -> Defined {
    let kind = Kind::of(name);
    if kind == Kind::Table {
        let id = name.strip_prefix("tables/").and_then(|n| n.strip_suffix(".txt")).map(str::to_owned);
        let based_on = BasedOn::of_table(&file.text);
        return Defined { id, version: Some(Version::of_table(&file.text)), based_on };
    }
    let mut none = Faults::default();
    let mut defined = Defined { id: None, version: None, based_on: None };
    file.document().read(&mut none, |top, none| {
        let id = if kind.has_ids() { top.string("id", none) } else { Some(name.to_owned()) };
        top.set_item(format!("{} {}", kind.name(), id.as_deref().unwrap_or("?")));
        defined.based_on = if file.shipped { None } else { read_based_on(top, faults) };
        defined.version = Some(Version::of(top));
        defined.id = id;
        Some(())
    });
    defined
}

/// `based_on` of a section, with its line.
pub(super) fn read_based_on(section: &Section<'_>, faults: &mut Faults) -> Option<(BasedOn, usize)> {
    if !section.has("based_on") {
        return None;
    }
    Some((BasedOn::read(section, faults)?, section.line_of("based_on")))
}

/// What is shipped, with the names of the files: read once.
fn shipped_items() -> &'static [(String, Item)] {
    static ITEMS: OnceLock<Vec<(String, Item)>> = OnceLock::new();
    ITEMS.get_or_init(|| {
        let item = |(name, file): (String, ContentFile)| {
            let Defined { id, version, .. } = defined_by(&name, &file, &mut Faults::default());
            let item = Item {
                kind: Kind::of(&name),
                id: id?,
                file: file.shown,
                of_site: false,
                replaces: None,
                patches: Vec::new(),
                shipped: version,
            };
            Some((name, item))
        };
        // Tests are no part of a version.
        ContentFiles::shipped_to_load().0.into_iter().filter_map(item).collect()
    })
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
