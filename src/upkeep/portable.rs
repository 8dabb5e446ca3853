//! Exports: what an agent has learned, as a file that another agent can take.
//!
//! One JSON object a line, compressed with zstd: a head with the version, the records in the order of their keys, and an
//! end with their number and digest. The file positions, counters and alerts of a collector are its own and not in it.
//! docs/format.md describes the lines.

use super::UpkeepError;
use crate::alert::EntityKind;
use crate::calendar::Day;
use crate::state::key::{GuardKey, Key};
use crate::state::record::{
    AgentRecord, BinRecord, EntityRecord, GuardRecord, InstanceRecord, ModelRecord, SuppressedRecord,
};
use crate::store::codec;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The newest version of exports that this program reads, and the one that it writes.
pub const VERSION: u32 = 2;
/// Longest line that is read, bytes: the largest record, and some.
const MAX_LINE_BYTES: u64 = 64 << 20;
const COMPRESSION: i32 = 3;
const CUT: &str = "it ends in the middle: it was not written to its end, or not copied whole";

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Version of the format.
    pub exfil_agent_export: u32,
    /// Host name of the collector.
    pub host: String,
    /// When it was made, RFC 3339.
    pub exported_at: String,
    /// By which revision and definition each model has learned; version 1 does not say.
    #[serde(default)]
    pub models: BTreeMap<String, (u32, String)>,
}

impl Head {
    /// Notes the definition of a model, from its record in the store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn note_model(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        if let Some(Key::Model(id)) = Key::decode(key) {
            let ModelRecord { revision, definition, .. } = read(value)?;
            self.models.insert(id, (revision, definition));
        }
        Ok(())
    }
}

/// The lines after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "lowercase", deny_unknown_fields)]
enum Line {
    Entity { kind: EntityKind, key: Text, data: EntityRecord },
    Instance { kind: EntityKind, key: Text, model: String, data: InstanceRecord },
    Bin { kind: EntityKind, key: Text, model: String, value: Text, data: BinRecord },
    Guard { day: Day, rule: String, kind: EntityKind, key: Text, value: Text, data: GuardRecord },
    Suppressed { day: Day, rule: String, kind: EntityKind, key: Text, data: SuppressedRecord },
    End { records: u64, newest_day: Option<Day>, blake3: String },
}

/// Bytes of a log: as text where they are text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Plain(String),
    Bytes(Vec<u8>),
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        String::from_utf8(bytes).map_or_else(|e| Text::Bytes(e.into_bytes()), Text::Plain)
    }
}

impl From<Text> for Vec<u8> {
    fn from(text: Text) -> Vec<u8> {
        match text {
            Text::Plain(text) => text.into_bytes(),
            Text::Bytes(bytes) => bytes,
        }
    }
}

/// A record of an export, as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Portable {
    pub key: Key,
    pub value: Value,
}

/// A value by kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Entity(EntityRecord),
    Instance(InstanceRecord),
    Bin(BinRecord),
    Guard(GuardRecord),
    Suppressed(SuppressedRecord),
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exported {
    /// Records.
    pub records: u64,
    /// Size of the file, bytes.
    pub bytes: u64,
}

/// An export being written. It gets its name when it is whole.
pub struct Writer {
    path: PathBuf,
    unfinished: PathBuf,
    out: zstd::Encoder<'static, BufWriter<File>>,
    digest: blake3::Hasher,
    records: u64,
    newest_day: Option<Day>,
}

impl Writer {
    /// Begins a file, which must not exist: it is readable for its owner only, since it says who does what.
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn create(path: &Path, head: &Head) -> io::Result<Writer> {
        if path.exists() {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists; name another file"));
        }
        let mut name = path.as_os_str().to_owned();
        name.push(".unfinished");
        let unfinished = PathBuf::from(name);
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        let mut out = zstd::Encoder::new(BufWriter::new(file), COMPRESSION)?;
        serde_json::to_writer(&mut out, head)?;
        out.write_all(b"\n")?;
        Ok(Writer {
            path: path.to_owned(),
            unfinished,
            out,
            digest: blake3::Hasher::new(),
            records: 0,
            newest_day: None,
        })
    }

    /// Adds a record of the store; those that are a collector's own are left out.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn add(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let bad = || io::Error::new(io::ErrorKind::InvalidData, format!("bad record {}", key.escape_ascii()));
        let line = match Key::decode(key).ok_or_else(bad)? {
            Key::Entity(kind, key) => Line::Entity { kind, key: key.into(), data: read(value)? },
            Key::Instance(kind, key, model) => Line::Instance { kind, key: key.into(), model, data: read(value)? },
            Key::Bin(kind, key, model, bin) => {
                Line::Bin { kind, key: key.into(), model, value: bin.into(), data: read(value)? }
            }
            Key::Guard(GuardKey { day, rule, kind, entity, value: per }) => {
                Line::Guard { day, rule, kind, key: entity.into(), value: per.into(), data: read(value)? }
            }
            Key::Suppressed(day, rule, kind, key) => {
                Line::Suppressed { day, rule, kind, key: key.into(), data: read(value)? }
            }
            Key::Agent => {
                self.newest_day = read::<AgentRecord>(value)?.newest_day;
                return Ok(());
            }
            Key::File(_) | Key::Sink(_) | Key::Alert(_) | Key::Import(_) | Key::Model(_) | Key::Silenced(..) => {
                return Ok(());
            }
        };
        let mut text = serde_json::to_vec(&line)?;
        text.push(b'\n');
        self.digest.update(&text);
        self.records += 1;
        self.out.write_all(&text)
    }

    /// Leaves nothing behind of a file that cannot be written to its end.
    pub fn abandon(self) {
        let _ = fs::remove_file(&self.unfinished);
    }

    /// Writes the end, syncs, and gives the file its name.
    ///
    /// # Errors
    /// When it cannot be written; the unfinished file is removed.
    pub fn finish(mut self) -> io::Result<Exported> {
        let end = Line::End {
            records: self.records,
            newest_day: self.newest_day,
            blake3: self.digest.finalize().to_hex().to_string(),
        };
        serde_json::to_writer(&mut self.out, &end)?;
        self.out.write_all(b"\n")?;
        let (path, unfinished, records) = (self.path, self.unfinished, self.records);
        let done = (|| {
            let file = self.out.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)?;
            Ok(Exported { records, bytes: file.metadata()?.len() })
        })();
        if done.is_err() {
            let _ = fs::remove_file(&unfinished);
        }
        done
    }
}

fn read<T: DeserializeOwned>(value: &[u8]) -> io::Result<T> {
    codec::decode(value).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))
}

/// An export that was read to its end once and found whole.
pub(super) struct Export {
    path: PathBuf,
    pub head: Head,
    /// Digest of its records, hexadecimal: two exports of the same knowledge have the same.
    pub digest: String,
    pub records: u64,
    /// Newest event day.
    pub newest_day: Option<Day>,
}

impl Export {
    /// Reads all of a file and checks it.
    pub fn open(path: &Path) -> Result<Export, UpkeepError> {
        let (head, mut lines) = Lines::open(path)?;
        let mut records = 0;
        let mut digest = blake3::Hasher::new();
        loop {
            match lines.next()? {
                Line::End { records: counted, newest_day, blake3 } => {
                    if counted != records || digest.finalize().to_hex().as_str() != blake3 {
                        return Err(lines.bad("its records are not those that were written"));
                    }
                    return Ok(Export { path: path.to_owned(), head, digest: blake3, records, newest_day });
                }
                _ => {
                    digest.update(&lines.line);
                    records += 1;
                }
            }
        }
    }

    /// Feeds its records once more, from number `from` on, until `each` fails.
    pub fn each(
        &self,
        from: u64,
        mut each: impl FnMut(Portable) -> Result<(), UpkeepError>,
    ) -> Result<(), UpkeepError> {
        let (_, mut lines) = Lines::open(&self.path)?;
        for n in 0..self.records {
            let line = lines.next()?;
            if n >= from {
                each(portable(line).ok_or_else(|| lines.bad("it ends before its end"))?)?;
            }
        }
        Ok(())
    }
}

/// The lines of a file.
struct Lines {
    path: PathBuf,
    reader: BufReader<zstd::Decoder<'static, BufReader<File>>>,
    /// The last line, as read.
    line: Vec<u8>,
    number: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<(Head, Lines), UpkeepError> {
        let cannot = |e: io::Error| UpkeepError::Unreadable(format!("{}: {e}", path.display()));
        let file = File::open(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => UpkeepError::NotFound(format!("{}: {e}", path.display())),
            _ => cannot(e),
        })?;
        let reader = BufReader::new(zstd::Decoder::new(file).map_err(cannot)?);
        let mut lines = Lines { path: path.to_owned(), reader, line: Vec::new(), number: 0 };
        if let Err(e) = lines.advance() {
            let is_cut = e.kind() == io::ErrorKind::UnexpectedEof;
            return Err(lines.bad(if is_cut { CUT } else { "it is no export of exfil-agent" }));
        }
        // Of a newer version nothing but the version is known.
        let version = serde_json::from_slice::<serde_json::Value>(&lines.line).ok();
        match version.and_then(|head| head.get("exfil_agent_export")?.as_u64()) {
            None => return Err(lines.bad("it is no export of exfil-agent")),
            Some(version) if version > u64::from(VERSION) => {
                let what =
                    format!("a newer agent wrote it (version {version}, this one reads {VERSION}); update first");
                return Err(lines.bad(&what));
            }
            Some(_) => {}
        }
        let head =
            serde_json::from_slice(&lines.line).map_err(|e| lines.bad(&format!("its head cannot be read: {e}")))?;
        Ok((head, lines))
    }

    fn advance(&mut self) -> io::Result<()> {
        self.line.clear();
        self.number += 1;
        (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line)?;
        if self.line.ends_with(b"\n") { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn next(&mut self) -> Result<Line, UpkeepError> {
        self.advance().map_err(|_| self.bad(CUT))?;
        serde_json::from_slice(&self.line).map_err(|e| self.bad(&format!("line {}: {e}", self.number)))
    }

    fn bad(&self, what: &str) -> UpkeepError {
        UpkeepError::Unreadable(format!("{}: {what}; nothing was imported", self.path.display()))
    }
}

fn portable(line: Line) -> Option<Portable> {
    let (key, value) = match line {
        Line::Entity { kind, key, data } => (Key::Entity(kind, key.into()), Value::Entity(data)),
        Line::Instance { kind, key, model, data } => (Key::Instance(kind, key.into(), model), Value::Instance(data)),
        Line::Bin { kind, key, model, value, data } => {
            (Key::Bin(kind, key.into(), model, value.into()), Value::Bin(data))
        }
        Line::Guard { day, rule, kind, key, value, data } => {
            let guard = GuardKey { day, rule, kind, entity: key.into(), value: value.into() };
            (Key::Guard(guard), Value::Guard(data))
        }
        Line::Suppressed { day, rule, kind, key, data } => {
            (Key::Suppressed(day, rule, kind, key.into()), Value::Suppressed(data))
        }
        Line::End { .. } => return None,
    };
    Some(Portable { key, value })
}
