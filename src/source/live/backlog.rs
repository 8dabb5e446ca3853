//! Whose turn it is when there is more to read than can be read at once: bytes that were found unread come first, in the
//! order of the event times at which their files stand; files that were caught up with take turns.
//!
//! A file that stands too far ahead of the oldest unread one waits, so that nothing becomes late by the order of reading.
//! What cannot be read now, and what grows behind what was found, holds nobody up. Units: milliseconds of event time.

use super::{Item, Live};
use crate::batch::FileId;
use crate::source::fingerprint::Inode;
use crate::source::reader::{Reader, open_regular};
use crate::source::status::FileState;
use crate::source::times::Times;
use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

const HOUR_MS: i64 = 3_600_000;
const MINUTE_MS: i64 = 60_000;
/// Bytes in which the first time of a file is looked for.
const PEEK_BYTES: usize = 64 * 1024;

/// The number of what was there before any newcomer; 0 is that of what has none yet.
pub(super) const FOUND_BEFORE: u64 = 1;

/// Where a file stands in the order of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    at_ms: i64,
    /// Of equals, the one that was found first: listings are in the order of modification and rotation.
    found: u64,
    item: Item,
}

/// The files that have bytes to read and are not in turn.
pub(super) struct Backlog {
    /// How far a file may be ahead of the oldest.
    ahead_ms: i64,
    /// Files that overlap are read in stretches of this length, in turn.
    stretch_ms: i64,
    /// Files with bytes that were found unread.
    order: BTreeSet<Place>,
    /// Files that were caught up with, have grown, and are too far ahead.
    waiting: BTreeSet<Place>,
    found: u64,
    /// The latest time that any file was read up to.
    front_ms: i64,
    /// Whether the last turn was that of a file that was caught up with.
    live_was_last: bool,
    said: Option<(i64, i64)>,
}

impl Backlog {
    pub(super) fn new(late_days: u32) -> Backlog {
        Backlog {
            // Days are those of a calendar: the shortest has 23 hours.
            ahead_ms: i64::from(late_days) * 24 * HOUR_MS - if late_days > 0 { HOUR_MS } else { 0 },
            stretch_ms: if late_days > 0 { HOUR_MS } else { MINUTE_MS },
            order: BTreeSet::new(),
            waiting: BTreeSet::new(),
            found: FOUND_BEFORE,
            front_ms: i64::MIN,
            live_was_last: false,
            said: None,
        }
    }

    /// The latest time that a file which was caught up with may be read up to; `None` when there is no backlog.
    fn limit(&self) -> Option<i64> {
        self.order.first().map(|oldest| oldest.at_ms.saturating_add(self.ahead_ms))
    }

    fn is_beyond_limit(&self, at_ms: Option<i64>) -> bool {
        self.limit().zip(at_ms).is_some_and(|(limit, at)| at > limit)
    }

    /// The next number of those in which files are found.
    fn number(&mut self) -> u64 {
        self.found += 1;
        self.found
    }
}

impl Live {
    /// What is to be done next.
    pub(super) fn next(&mut self) -> Option<Item> {
        // Nothing is read before it is known how old everything is.
        while let Some(item) = self.looks.pop_front() {
            self.look_at(item);
        }
        if let Some(item) = self.first.pop_front() {
            return Some(item);
        }
        self.let_go();
        self.say_backlog();
        let owed = self.backlog.order.first().copied().map(|oldest| self.decoded_first(oldest));
        let may_be_owed = self.turns.is_empty() || self.backlog.live_was_last;
        match owed.filter(|_| may_be_owed) {
            Some(place) => {
                self.backlog.live_was_last = false;
                self.unplace(place.item);
                Some(place.item)
            }
            None => {
                self.backlog.live_was_last = owed.is_some();
                match self.turns.pop_front()? {
                    Item::New(inode) if self.is_newcomer_too_far_ahead(inode) => {
                        self.queue_newcomer(inode, false);
                        self.next()
                    }
                    item => Some(item),
                }
            }
        }
    }

    /// Of compressed files one is decoded at a time, to its end.
    fn decoded_first(&self, oldest: Place) -> Place {
        let begun = self.decoding.and_then(|id| self.files.get(&id)).and_then(|f| f.place);
        let is_compressed = match oldest.item {
            Item::New(inode) => self.newcomers.get(&inode).is_some_and(|n| n.compressed),
            Item::File(id) => self.files.get(&id).is_some_and(|f| !f.tail.is_plain()),
        };
        begun.filter(|_| is_compressed).unwrap_or(oldest)
    }

    fn look_at(&mut self, item: Item) {
        match item {
            Item::New(inode) => self.place_newcomer(inode),
            Item::File(id) => self.place(id),
        }
    }

    /// Finds out how old the first byte of a newcomer is. What it is a copy of shows when its turn comes, by what was read
    /// until then.
    fn place_newcomer(&mut self, inode: Inode) {
        let (now, now_ms) = (self.now(), self.clock.now_ms());
        let Some(n) = self.newcomers.get_mut(&inode) else { return };
        n.queued = false;
        if !n.retry.is_due(now) {
            return;
        }
        let file = match &n.file {
            Some(file) => Ok(Arc::clone(file)),
            None => open_regular(&n.path, false).map(|(file, _)| file),
        };
        let times = Times { sniff: &*self.sniff, spool: n.spool as u16, header: None, now_ms };
        let max_expansion = self.limits.max_expansion;
        let begins = file.and_then(|file| match Reader::new(&file, max_expansion, false)? {
            Some(mut reader) => {
                n.compressed = !reader.is_plain();
                peek(&mut reader, 0, &mut self.peeked, &times)
            }
            None => Ok(None),
        });
        let begins = match begins {
            Ok(begins) => begins,
            Err(e) => return self.newcomer_trouble(inode, &e),
        };
        let modified_ms = i64::try_from(n.stat.modified_ns / 1_000_000).unwrap_or(i64::MAX);
        let at_ms = begins.unwrap_or(modified_ms).min(now_ms);
        (n.begins_ms, n.guessed) = (Some(at_ms), begins.is_none());
        if !n.held {
            self.say(inode, FileState::Reading, None);
        }
        let recent = now_ms.saturating_sub(HOUR_MS);
        let is_live = at_ms >= recent && self.backlog.front_ms >= recent;
        self.queue_newcomer(inode, is_live);
    }

    /// A newcomer of a time that was reached before is live, unless older files are too far behind it.
    fn queue_newcomer(&mut self, inode: Inode, is_live: bool) {
        let item = Item::New(inode);
        let Some(n) = self.newcomers.get_mut(&inode) else { return };
        n.queued = true;
        if n.found == 0 {
            n.found = self.backlog.number();
        }
        n.owed = !is_live || self.backlog.is_beyond_limit(n.begins_ms);
        if n.owed {
            let place = Place { at_ms: n.begins_ms.unwrap_or(i64::MIN), found: n.found, item };
            n.place = Some(place);
            self.backlog.order.insert(place);
        } else {
            self.turns.push_back(item);
        }
    }

    /// Finds out how old the next unread byte of a file is and gives it its place.
    pub(super) fn place(&mut self, id: FileId) {
        let (now, now_ms) = (self.now(), self.clock.now_ms());
        let Some(f) = self.files.get_mut(&id) else { return };
        f.queued = false;
        if !f.retry.is_due(now) {
            return;
        }
        if f.tail.reader.is_none()
            && let Err(e) = self.open_file(id)
        {
            return self.trouble(id, &e);
        }
        let Some(f) = self.files.get_mut(&id) else { return };
        let offset = f.tail.position.offset;
        let stands = match &mut f.tail.reader {
            // It was the oldest when it was begun. To look at it would be to decode all of it once more.
            Some(reader) if !reader.is_plain() && offset > 0 => Ok(Some(f.stands_ms.unwrap_or(i64::MIN))),
            Some(reader) => {
                let share = reader.share();
                let mut reader = match Reader::new(&share, self.limits.max_expansion, true) {
                    Ok(Some(reader)) => reader,
                    Ok(None) => return,
                    Err(e) => return self.trouble(id, &e),
                };
                let (sniff, header) = (&*self.sniff, f.tail.header());
                let times = Times { sniff, spool: f.tail.spool, header, now_ms };
                peek(&mut reader, offset, &mut self.peeked, &times)
            }
            None => return,
        };
        match stands {
            Ok(stands) => {
                let modified_ms = i64::try_from(f.seen.modified_ns / 1_000_000).unwrap_or(i64::MAX);
                f.stands_ms = Some(stands.unwrap_or(modified_ms.min(now_ms)));
                f.guessed = stands.is_none();
                self.put_back(id);
            }
            Err(e) => self.trouble(id, &e),
        }
    }

    /// After a turn: where a file that has more to read stands now.
    pub(super) fn put_back(&mut self, id: FileId) {
        let Some(f) = self.files.get_mut(&id) else { return };
        if f.owed.is_some_and(|upto| f.tail.is_plain() && f.tail.position.offset >= upto) {
            f.owed = None;
        }
        let owed = f.owed.is_some();
        let waits = self.is_too_far_ahead(id);
        let Some(f) = self.files.get_mut(&id) else { return };
        if owed || waits {
            if f.found == 0 {
                f.found = self.backlog.number();
            }
            let place = Place { at_ms: f.stands_ms.unwrap_or(i64::MIN), found: f.found, item: Item::File(id) };
            (f.place, f.queued) = (Some(place), true);
            if owed { &mut self.backlog.order } else { &mut self.backlog.waiting }.insert(place);
        } else {
            self.enqueue(id);
        }
        self.report(id);
    }

    /// Takes a file out of the order.
    pub(super) fn unplace(&mut self, item: Item) {
        let place = match item {
            Item::New(inode) => self.newcomers.get_mut(&inode).and_then(|n| n.place.take()),
            Item::File(id) => self.files.get_mut(&id).and_then(|f| f.place.take()),
        };
        if let Some(place) = place {
            self.backlog.order.remove(&place);
            self.backlog.waiting.remove(&place);
        }
    }

    /// Files that have waited long enough take turns again.
    fn let_go(&mut self) {
        while let Some(place) = self.backlog.waiting.first().copied() {
            if self.backlog.is_beyond_limit(Some(place.at_ms)) {
                return;
            }
            self.unplace(place.item);
            self.turns.push_back(place.item);
        }
    }

    /// The time that a file must not be read beyond in this turn; `None` when there is no such time.
    pub(super) fn until(&self, id: FileId) -> Option<i64> {
        let f = self.files.get(&id).filter(|f| !f.stuck && f.tail.is_plain())?;
        match f.owed {
            // The next one is due then.
            Some(_) => self.backlog.order.first().map(|next| next.at_ms.saturating_add(self.backlog.stretch_ms)),
            None if f.tail.position.offset == 0 => None,
            None => self.backlog.limit(),
        }
    }

    /// Whether a file that was caught up with has to wait. A compressed one does not while it is being decoded.
    pub(super) fn is_too_far_ahead(&self, id: FileId) -> bool {
        let Some(f) = self.files.get(&id).filter(|f| f.owed.is_none()) else { return false };
        let may_wait = f.tail.is_plain() || self.decoding != Some(id);
        may_wait && self.backlog.is_beyond_limit(f.stands_ms)
    }

    fn is_newcomer_too_far_ahead(&self, inode: Inode) -> bool {
        self.newcomers.get(&inode).is_some_and(|n| self.backlog.is_beyond_limit(n.begins_ms))
    }

    /// A file stands at this time, and may have been read up to it.
    pub(super) fn stands(&mut self, id: FileId, at_ms: i64, read: bool) {
        if read {
            self.backlog.front_ms = self.backlog.front_ms.max(at_ms);
        }
        if let Some(f) = self.files.get_mut(&id) {
            (f.stands_ms, f.guessed) = (Some(at_ms), false);
        }
    }

    /// Tells the status how old the backlog is, and from when on files wait for it.
    fn say_backlog(&mut self) {
        // A copy that is looked at again is no news.
        let is_held = |item| matches!(item, Item::New(inode) if self.newcomers.get(&inode).is_some_and(|n| n.held));
        let oldest = self.backlog.order.iter().find(|place| !is_held(place.item));
        let oldest = oldest.map(|oldest| oldest.at_ms).filter(|at| *at > i64::MIN);
        let now = oldest.map(|at| (at, at.saturating_add(self.backlog.ahead_ms)));
        if now != self.backlog.said {
            self.backlog.said = now;
            self.status.change(|s| {
                (s.oldest_unread_ms, s.waits_beyond_ms) = (now.map(|n| n.0), now.map(|n| n.1));
            });
        }
    }
}

/// The time at `offset` of a file.
fn peek(reader: &mut Reader, offset: u64, buf: &mut Vec<u8>, times: &Times<'_>) -> io::Result<Option<i64>> {
    buf.clear();
    buf.reserve_exact(PEEK_BYTES);
    reader.read(offset, PEEK_BYTES, buf)?;
    Ok(times.at_start(buf))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_read_more_than_late_days_ahead_whatever_the_calendar() {
        let ahead = |days| Backlog::new(days).ahead_ms / HOUR_MS;
        assert_eq!([ahead(0), ahead(1), ahead(3)], [0, 23, 71]);
        let huge = Backlog::new(u32::MAX);
        assert!(huge.ahead_ms > 0);
    }
}
