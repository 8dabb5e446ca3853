//! Histograms: bins of feature values with counts a day, in a window that ends with the latest trained day.
//!
//! Semantics after the published description of the original: `confidence = ((N − C) / N)^alpha`, converged from a
//! cut-off of N and a confidence; *first* is a count of 0; *abnormal* is a count below the count of the bin at which the
//! ascending running sum passes a percentile of N. Counts are exact per day, so that ageing subtracts whole days.

use super::Stage;
use super::index::Index;
use super::oldest::Oldest;
use super::rank::RankIndex;
use crate::calendar::Day;
use crate::few::Few;

/// Counts by day, ascending, each above 0. Most bins are of one day or two, which stand in place.
pub type DayCounts = Few<(Day, u32)>;

/// One bin: how often a value was counted, day by day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bin {
    /// The feature's value.
    pub value: Box<[u8]>,
    /// The counts of its days.
    pub days: DayCounts,
    /// Sum of the counts in the window.
    pub total: u64,
    /// Event time of the first training that the bin remembers, ms.
    pub first_ms: i64,
    /// Event time of the latest training, ms.
    pub last_ms: i64,
    pub(super) dirty: bool,
    /// Whether the store has a record of it, or is about to.
    pub(super) stored: bool,
}

impl Bin {
    /// A bin as the store kept it; [`Instance::restore`] adds it up.
    pub fn restored(value: Box<[u8]>, days: DayCounts, first_ms: i64, last_ms: i64) -> Bin {
        Bin { value, days, total: 0, first_ms, last_ms, dirty: false, stored: true }
    }

    /// Whether it has been handed over for writing: only then there is a record to remove.
    pub fn is_stored(&self) -> bool {
        self.stored
    }

    /// The count of one day.
    pub fn count_on(&self, day: Day) -> u32 {
        self.days.binary_search_by_key(&day, |d| d.0).ok().and_then(|i| self.days.get(i)).map_or(0, |d| d.1)
    }

    /// The counts of `from..=to`.
    pub fn count_between(&self, from: Day, to: Day) -> u64 {
        self.days.iter().filter(|d| d.0 >= from && d.0 <= to).map(|d| u64::from(d.1)).sum()
    }
}

/// Where the bin of a value stands in its instance, or that it has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(Option<u32>);

/// The limits of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Days that count, ending with the latest trained day.
    pub window_days: u32,
    /// Bins an instance may have.
    pub max_bins: usize,
    /// Days of the rank window, for models that rank.
    pub rank_days: Option<u32>,
}

/// The histogram of one scope.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// Slots; one with `total == 0` is free.
    bins: Vec<Bin>,
    n: u64,
    /// What a small instance that nothing has left yet does not have.
    more: Option<Box<More>>,
    latest: Option<Day>,
    /// Bins pushed out since the last question.
    pushed_out: u32,
    saturated: bool,
    meta_dirty: bool,
    /// Some bin's record must be written.
    bins_dirty: bool,
    /// As what it stands in the counts of instances.
    pub counted: Stage,
}

/// What few instances have.
#[derive(Clone, Debug, Default)]
struct More {
    free: Vec<u32>,
    /// Value → slot, made once there are more than a few bins.
    index: Option<Index>,
    rank: Option<RankIndex>,
    /// Made once the instance is full.
    oldest: Option<Oldest>,
    /// Values whose record must be removed: those that were handed over before.
    removed: Vec<Box<[u8]>>,
}

/// Up to here a linear search is as quick as a hash table, and a user's histogram stays small.
const LINEAR_BINS: usize = 16;

/// What changed in the store's terms: see [`Instance::drain_dirty`].
pub enum Change<'a> {
    /// The instance's own record.
    Meta {
        /// Latest trained day.
        latest: Option<Day>,
        /// Whether bins were lost to the limit.
        saturated: bool,
    },
    /// A bin was trained.
    Bin(&'a Bin),
    /// A bin has left.
    Removed(&'a [u8]),
}

impl Instance {
    /// An instance as the store kept it: bins in any order, days possibly older than the window.
    pub fn restore(latest: Option<Day>, saturated: bool, bins: Vec<Bin>, bounds: &Bounds) -> Instance {
        let mut instance = Instance { latest, saturated, bins, ..Instance::default() };
        instance.bins.retain_mut(|bin| {
            bin.total = bin.days.iter().map(|d| u64::from(d.1)).sum();
            bin.total > 0
        });
        instance.bins.shrink_to_fit();
        instance.n = instance.bins.iter().map(|bin| bin.total).sum();
        if instance.bins.len() > LINEAR_BINS {
            instance.make_index();
        }
        if let Some(latest) = latest {
            instance.age(latest, bounds);
        }
        if bounds.rank_days.is_some() {
            instance.rebuild_rank(bounds);
        }
        if let Some(more) = &mut instance.more {
            more.removed.clear();
        }
        instance
    }

    /// Sum of all counts.
    pub fn n(&self) -> u64 {
        self.n
    }
    /// Number of bins.
    pub fn c(&self) -> u64 {
        (self.bins.len() - self.more.as_ref().map_or(0, |more| more.free.len())) as u64
    }
    /// Latest trained day.
    pub fn latest(&self) -> Option<Day> {
        self.latest
    }
    /// Whether bins were lost to the limit, so that "never seen" can no longer be said.
    pub fn saturated(&self) -> bool {
        self.saturated
    }
    /// How many bins new ones have pushed out since the last call.
    pub fn take_pushed_out(&mut self) -> u32 {
        std::mem::take(&mut self.pushed_out)
    }
    /// The rank window, for models that rank.
    pub fn rank(&self) -> Option<&RankIndex> {
        self.more.as_ref()?.rank.as_ref()
    }
    /// The bins in use, in no particular order.
    pub fn bins(&self) -> impl Iterator<Item = &Bin> {
        self.bins.iter().filter(|b| b.total > 0)
    }

    /// `((N − C) / N)^alpha`, 0 when N is 0.
    pub fn confidence(&self, alpha: f64) -> f64 {
        super::confidence(self.n, self.c(), alpha)
    }

    /// Time of the latest training, ms; the smallest there is without one.
    pub fn trained_ms(&self) -> i64 {
        self.bins().map(|b| b.last_ms).max().unwrap_or(i64::MIN)
    }

    /// About how much memory it takes, bytes; without what only large ones have.
    pub fn measure(&self) -> usize {
        let days = |b: &Bin| if b.days.spilled() { b.days.capacity() * size_of::<(Day, u32)>() } else { 0 };
        let bins: usize = self.bins.iter().map(|b| size_of::<Bin>() + 16 + b.value.len() + days(b)).sum();
        let more = if self.more.is_some() { size_of::<More>() } else { 0 };
        size_of::<Instance>() + bins + more + if self.index().is_some() { self.bins.len() * 8 } else { 0 }
    }

    /// The bin of a value.
    pub fn bin(&self, value: &[u8]) -> Option<&Bin> {
        self.at(self.find(value))
    }

    /// Where the bin of a value stands, if there is one. Stays right until a value is trained.
    pub fn find(&self, value: &[u8]) -> Place {
        Place(self.slot_of(value))
    }

    /// The bin at a place.
    pub fn at(&self, place: Place) -> Option<&Bin> {
        self.bins.get(place.0? as usize)
    }

    /// The count of a value in the window; 0 is *first*.
    pub fn count(&self, value: &[u8]) -> u64 {
        self.bin(value).map_or(0, |b| b.total)
    }

    /// T: the count of the first bin, in ascending order of count, at which the running sum exceeds `percentile` of N.
    /// 0 when all bins are equal: then nothing is below it.
    pub fn abnormal_below(&self, percentile: f64) -> u64 {
        let mut counts: Vec<u64> = self.bins().map(|b| b.total).collect();
        counts.sort_unstable();
        if counts.first() == counts.last() {
            return 0;
        }
        let limit = percentile * self.n as f64;
        let mut sum = 0u64;
        for count in &counts {
            sum += count;
            if sum as f64 > limit {
                return *count;
            }
        }
        0
    }

    /// Up to `most` bins, largest first, equal ones by value.
    pub fn largest(&self, most: usize) -> Vec<&Bin> {
        let mut all: Vec<&Bin> = self.bins().collect();
        let order = |a: &&Bin, b: &&Bin| b.total.cmp(&a.total).then_with(|| a.value.cmp(&b.value));
        if all.len() > most && most > 0 {
            all.select_nth_unstable_by(most - 1, order);
            all.truncate(most);
        }
        all.sort_unstable_by(order);
        all
    }

    /// Looks at every bin of a small instance, and at nothing behind them.
    #[inline]
    pub fn touch_bins(&self) -> u64 {
        self.bins.iter().take(LINEAR_BINS).fold(0, |seen, bin| seen ^ bin.total ^ bin.value.len() as u64)
    }

    /// Looks at the beginnings of the values of this length.
    #[inline]
    pub fn touch_values(&self, len: usize) -> u64 {
        let of_length = self.bins.iter().take(LINEAR_BINS).filter(|bin| bin.value.len() == len);
        of_length.fold(0, |seen, bin| seen ^ u64::from(bin.value.first().copied().unwrap_or_default()))
    }

    /// Whether the counts of the bins that are no larger than `count` are within `percentile` of N: else it is not below
    /// [`Instance::abnormal_below`], which takes longer to find.
    pub fn may_be_abnormal(&self, count: u64, percentile: f64) -> bool {
        let sum: u64 = self.bins().map(|b| b.total).filter(|total| *total <= count).sum();
        sum as f64 <= percentile * self.n as f64
    }

    /// Counts a value once on a day. Says whether it was trained: a day outside the window is not.
    pub fn train(&mut self, value: &[u8], day: Day, time_ms: i64, bounds: &Bounds) -> bool {
        let place = self.find(value);
        self.train_at(place, value, day, time_ms, bounds)
    }

    /// The same, for a value whose place is known.
    pub fn train_at(&mut self, place: Place, value: &[u8], day: Day, time_ms: i64, bounds: &Bounds) -> bool {
        match self.latest {
            Some(latest) if i64::from(day) <= i64::from(latest) - i64::from(bounds.window_days) => return false,
            Some(latest) if day <= latest => {}
            _ => {
                self.latest = Some(day);
                self.meta_dirty = true;
                self.age(day, bounds);
            }
        }
        // Its bin may just have left with its last day.
        let slot = match place.0.filter(|slot| self.bins.get(*slot as usize).is_some_and(|b| b.total > 0)) {
            Some(slot) => slot,
            None => {
                if self.c() as usize >= bounds.max_bins {
                    self.make_room();
                }
                self.add_bin(Bin {
                    value: value.into(),
                    days: DayCounts::new(),
                    total: 0,
                    first_ms: time_ms,
                    last_ms: time_ms,
                    dirty: false,
                    stored: false,
                })
            }
        };
        let Some(bin) = self.bins.get_mut(slot as usize) else { return false };
        match bin.days.binary_search_by_key(&day, |d| d.0) {
            Ok(at) => {
                if let Some(d) = bin.days.get_mut(at) {
                    d.1 = d.1.saturating_add(1);
                }
            }
            Err(at) => bin.days.insert(at, (day, 1)),
        }
        let seen_later = bin.total == 0 || time_ms > bin.last_ms;
        bin.total += 1;
        self.n += 1;
        bin.first_ms = bin.first_ms.min(time_ms);
        bin.last_ms = bin.last_ms.max(time_ms);
        if !bin.dirty {
            (bin.dirty, self.bins_dirty) = (true, true);
            if let Some(index) = self.more.as_mut().and_then(|more| more.index.as_mut()) {
                index.dirty.push(slot);
            }
        }
        if let (true, Some(oldest)) = (seen_later, self.more.as_mut().and_then(|more| more.oldest.as_mut())) {
            oldest.note(slot, bin);
        }
        if let (Some(rank_days), Some(latest)) = (bounds.rank_days, self.latest) {
            let first_of_day = bin.count_on(day) == 1;
            let rank = self.more.get_or_insert_default().rank.get_or_insert_default();
            rank.count(slot, (day, 1), first_of_day, latest, rank_days);
        }
        true
    }

    /// Hands over what must be written or removed since the last call.
    pub fn drain_dirty(&mut self, mut each: impl FnMut(Change<'_>)) {
        if std::mem::take(&mut self.meta_dirty) {
            each(Change::Meta { latest: self.latest, saturated: self.saturated });
        }
        for value in self.more.as_mut().map(|more| std::mem::take(&mut more.removed)).unwrap_or_default() {
            // A value that left and came back is dirty, and written after this.
            each(Change::Removed(&value));
        }
        if !std::mem::take(&mut self.bins_dirty) {
            return;
        }
        let mut hand_over = |bin: &mut Bin| {
            if std::mem::take(&mut bin.dirty) {
                bin.stored = true;
                each(Change::Bin(bin));
            }
        };
        match self.more.as_mut().and_then(|more| more.index.as_mut()) {
            Some(index) => {
                for slot in std::mem::take(&mut index.dirty) {
                    self.bins.get_mut(slot as usize).into_iter().for_each(&mut hand_over);
                }
            }
            None => self.bins.iter_mut().for_each(hand_over),
        }
    }

    /// Days up to `latest − window` leave, and with them bins that become empty.
    fn age(&mut self, latest: Day, bounds: &Bounds) {
        // The rank window first: it still needs the counts of days that the larger window drops below.
        let rank = self.more.as_mut().and_then(|more| more.rank.as_mut());
        if let (Some(rank), Some(rank_days)) = (rank, bounds.rank_days) {
            rank.advance(latest, rank_days, |slot, day| self.bins.get(slot as usize).map_or(0, |b| b.count_on(day)));
        }
        let last_gone = latest.saturating_sub_unsigned(bounds.window_days);
        let mut empty = Vec::new();
        for (slot, bin) in self.bins.iter_mut().enumerate() {
            let gone = bin.days.partition_point(|d| d.0 <= last_gone);
            if gone > 0 {
                let count: u64 = bin.days.drain(..gone).map(|d| u64::from(d.1)).sum();
                bin.total -= count;
                self.n -= count;
                if bin.total == 0 {
                    empty.push(slot as u32);
                }
            }
        }
        for slot in empty {
            self.remove_slot(slot);
        }
    }

    /// The bin seen longest ago leaves (of equals, the smallest value), and the instance is saturated.
    fn make_room(&mut self) {
        let more = self.more.get_or_insert_default();
        let Some(slot) = more.oldest.get_or_insert_default().take(&self.bins) else { return };
        if let Some(bin) = self.bins.get_mut(slot as usize) {
            self.n -= bin.total;
            if let Some(rank) = &mut more.rank {
                rank.forget(slot, bin.days.iter().map(|d| d.0));
            }
        }
        self.remove_slot(slot);
        self.pushed_out += 1;
        self.saturated = true;
        self.meta_dirty = true;
    }

    fn slot_of(&self, value: &[u8]) -> Option<u32> {
        match self.index() {
            None => self.bins.iter().position(|b| b.total > 0 && *b.value == *value).map(|i| i as u32),
            Some(index) => index.find(value, &self.bins),
        }
    }

    fn index(&self) -> Option<&Index> {
        self.more.as_ref()?.index.as_ref()
    }

    fn add_bin(&mut self, bin: Bin) -> u32 {
        let slot = match self.more.as_mut().and_then(|more| more.free.pop()) {
            Some(slot) => {
                if let Some(place) = self.bins.get_mut(slot as usize) {
                    *place = bin;
                }
                slot
            }
            None => {
                if self.bins.len() == self.bins.capacity() {
                    // Doubling would leave a third of the memory of small histograms unused, and there are many.
                    self.bins.reserve_exact((self.bins.len() / 4).max(1));
                }
                self.bins.push(bin);
                (self.bins.len() - 1) as u32
            }
        };
        match self.more.as_mut().and_then(|more| more.index.as_mut()) {
            Some(index) => index.insert(slot, &self.bins),
            None if self.bins.len() > LINEAR_BINS => self.make_index(),
            None => {}
        }
        slot
    }

    fn make_index(&mut self) {
        let mut index = Index::with_room_for(self.bins.len().max(64));
        let more = self.more.get_or_insert_default();
        for (slot, bin) in (0u32..).zip(&self.bins) {
            if !more.free.contains(&slot) {
                index.insert(slot, &self.bins);
            }
            if bin.dirty {
                index.dirty.push(slot);
            }
        }
        more.index = Some(index);
    }

    fn remove_slot(&mut self, slot: u32) {
        let Some(bin) = self.bins.get_mut(slot as usize) else { return };
        let more = self.more.get_or_insert_default();
        if let Some(index) = &mut more.index {
            index.remove(slot, &bin.value);
        }
        bin.total = 0;
        bin.days.clear();
        bin.dirty = false;
        let value = std::mem::take(&mut bin.value);
        // A flood of values that come and go between two commits leaves nothing to be written.
        if bin.stored {
            more.removed.push(value);
        }
        more.free.push(slot);
    }

    fn rebuild_rank(&mut self, bounds: &Bounds) {
        let (Some(rank_days), Some(latest)) = (bounds.rank_days, self.latest) else { return };
        let mut rank = RankIndex::default();
        for (slot, bin) in self.bins.iter().enumerate().filter(|(_, b)| b.total > 0) {
            for counted in &bin.days {
                rank.count(slot as u32, *counted, true, latest, rank_days);
            }
        }
        self.more.get_or_insert_default().rank = Some(rank);
    }
}
