//! Which file is in force, and what is told of it.

use super::*;
use crate::content::files::ContentFile;

/// Layers over these files of a site.
fn with(files: &[(&str, &str)]) -> Layers {
    let file = |(name, text): &(&str, &str)| {
        ((*name).to_owned(), ContentFile { shown: format!("/site/{name}"), text: (*text).into(), shipped: false })
    };
    let mut faults = Faults::default();
    let layers = Layers::with(ContentFiles::shipped(), ContentFiles(files.iter().map(file).collect()), &mut faults);
    assert!(faults.is_empty(), "{faults}");
    layers
}

fn notes(layers: &Layers) -> Vec<String> {
    layers.notes.iter().map(Fault::to_string).collect()
}

fn version_of(kind: Kind, id: &str) -> String {
    Layers::shipped().item(kind, id).unwrap().shipped.as_ref().unwrap().to_string()
}

#[test]
fn a_file_replaces_what_has_its_id_whatever_its_name_and_keeps_its_place() {
    let version = version_of(Kind::Rule, "WEB-FS");
    let layers = with(&[
        ("rules/zz_ours.toml", &format!("id = \"WEB-FS\"\nbased_on = \"{version}\"\n")),
        ("rules/aa_new.toml", "id = \"Site-1\"\n"),
        ("tables/temp_directories.txt", "/scratch/\n"),
        ("tables/mine.txt", "x\n"),
    ]);
    let shipped = Layers::shipped();
    assert_eq!(layers.files.0.len(), shipped.files.0.len() + 2);
    assert_eq!(layers.files.0["rules/web_fs.toml"].shown, "/site/rules/zz_ours.toml");
    assert_eq!(layers.files.documents("rules/").last().unwrap().0.file, "/site/rules/aa_new.toml");
    let origin = |kind, id| layers.item(kind, id).unwrap().origin();
    let replaces = |kind, id| layers.item(kind, id).unwrap().replaces.clone();
    assert_eq!(origin(Kind::Rule, "WEB-FS"), "/site/rules/zz_ours.toml");
    assert_eq!(replaces(Kind::Rule, "WEB-FS").as_deref(), Some("rules/web_fs.toml"));
    assert_eq!(
        (origin(Kind::Rule, "Site-1"), replaces(Kind::Rule, "Site-1")),
        ("/site/rules/aa_new.toml".into(), None)
    );
    assert_eq!(origin(Kind::Rule, "WEB-OU-FS"), "shipped");
    assert_eq!(replaces(Kind::Table, "temp_directories").as_deref(), Some("tables/temp_directories.txt"));
    assert_eq!((origin(Kind::Table, "mine"), replaces(Kind::Table, "mine")), ("/site/tables/mine.txt".into(), None));
    let table = version_of(Kind::Table, "temp_directories");
    assert_eq!(
        notes(&layers),
        [format!(
            "table temp_directories (/site/tables/temp_directories.txt): does not say which shipped version it was \
             written for, so that no upgrade can be told of; write based_on = \"{table}\""
        )]
    );
}

#[test]
fn a_second_file_with_an_id_adds_so_that_whoever_reads_it_finds_one_too_many() {
    let layers = with(&[("rules/a.toml", "id = \"WEB-FS\"\n"), ("rules/b.toml", "id = \"WEB-FS\"\n")]);
    let files: Vec<String> = layers.files.documents("rules/").into_iter().map(|(d, _)| d.file).collect();
    assert!(files.contains(&"/site/rules/a.toml".into()) && files.contains(&"/site/rules/b.toml".into()), "{files:?}");
}

#[test]
fn an_upgrade_that_changed_what_was_replaced_is_told() {
    let now = version_of(Kind::Rule, "WEB-FS");
    let layers = with(&[
        ("rules/web_fs.toml", "id = \"WEB-FS\"\nbased_on = \"1 0123456789ab\"\n"),
        ("rules/tap.toml", "based_on = 7\nid = \"Site-Tap\"\n"),
        ("rules/web_ou_fs.toml", "id = \"Other\"\n"),
        ("rules/web_og_fs.toml", &ContentFiles::shipped().0["rules/web_og_fs.toml"].text),
    ]);
    assert_eq!(
        notes(&layers),
        [
            "rule Site-Tap (/site/rules/tap.toml:1): based_on names a shipped version, but nothing that is shipped has \
             this id; remove it"
                .to_owned(),
            format!(
                "rule WEB-FS (/site/rules/web_fs.toml:2): was written for the shipped version \"1 0123456789ab\", which \
                 has changed: now it is \"{now}\"; compare them (agentctl content export), then write based_on = \"{now}\""
            ),
            "rule Other (/site/rules/web_ou_fs.toml): replaces nothing: the shipped rules/web_ou_fs.toml has another id \
             and stays in force; a file replaces what has its id"
                .to_owned(),
        ]
    );
}

#[test]
fn every_shipped_file_defines_something_with_a_version() {
    let layers = Layers::shipped();
    assert_eq!(layers.items.len(), layers.files.0.len());
    assert!(layers.items.iter().all(|i| i.shipped.is_some() && i.origin() == "shipped"));
    assert!(layers.notes.is_empty());
}
