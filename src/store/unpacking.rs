//! The unfolded changes at an opening: the deltas that a walk over sled finds are unpacked to be checked, on a second core, if there
//! is one, while the walk goes on.

use super::error::StoreError;
use super::layer::Layer;
use super::overlay::Overlay;
use super::page;
use super::run::BrokenRun;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::thread;

/// How many deltas the walk may be ahead.
const AHEAD: usize = 8;

/// A delta as it is stored, and in which format.
pub(super) struct Stored {
    pub format: u16,
    pub packed: Vec<u8>,
}

/// What the deltas hold.
#[derive(Default)]
pub(super) struct Unpacked {
    pub overlay: Overlay,
    /// How long the streams are, in the order in which they came.
    pub lens: Vec<u64>,
}

/// Unpacks the deltas that `walk` hands over, oldest first.
///
/// # Errors
/// What the walk returns, else that a delta is broken.
pub(super) fn unpack_beside(
    dir: &Path,
    has_cores: bool,
    walk: impl FnOnce(&mut dyn FnMut(Stored) -> Result<(), StoreError>) -> Result<(), StoreError>,
) -> Result<Unpacked, StoreError> {
    if !has_cores {
        let mut unpacked = Unpacked::default();
        walk(&mut |stored| unpacked.take(stored).map_err(page::broken(dir)))?;
        return Ok(unpacked);
    }
    thread::scope(|scope| {
        let (sender, deltas) = sync_channel::<Stored>(AHEAD);
        let unpack = move || {
            let mut unpacked = Unpacked::default();
            deltas.into_iter().try_for_each(|stored| unpacked.take(stored))?;
            Ok::<_, BrokenRun>(unpacked)
        };
        let unpacking = thread::Builder::new().name("unpack".into()).spawn_scoped(scope, unpack);
        let unpacking = unpacking.map_err(StoreError::io(dir, "starting a thread for"))?;
        // Once one was broken nobody takes the others; what is wrong is told below.
        let walked = walk(&mut |stored| {
            let _ = sender.send(stored);
            Ok(())
        });
        drop(sender);
        let unpacked = unpacking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        walked?;
        unpacked.map_err(page::broken(dir))
    })
}

impl Unpacked {
    fn take(&mut self, Stored { format, packed }: Stored) -> Result<(), BrokenRun> {
        let layer = Layer::read(format, packed)?;
        self.lens.push(layer.plain_len());
        self.overlay.push(layer)
    }
}

#[cfg(test)]
mod tests {
    use super::super::delta::Delta;
    use super::super::envelope::FORMAT;
    use super::super::order::Order;
    use super::*;

    fn stored(n: u8) -> Stored {
        let mut delta: Delta = (0..n).map(|i| ([i], Some(vec![n; 100]))).collect();
        delta.put_in_order(&mut Order::default()).unwrap();
        Stored { format: FORMAT, packed: Layer::compose(&delta, &(0..0), Vec::new()).packed().to_vec() }
    }

    #[test]
    fn one_core_or_two_give_the_same_and_say_the_same() {
        let dir = Path::new("/state");
        for has_cores in [false, true] {
            let unpacked = unpack_beside(dir, has_cores, |take| (1..50).try_for_each(|n| take(stored(n)))).unwrap();
            assert!(unpacked.lens.len() == 49 && unpacked.lens.is_sorted());
            let mut newest = unpacked.overlay.within(b"", b"\x05").unwrap();
            assert!(newest.stand().unwrap() && newest.value() == Some(&[49; 100]));

            let broken = |n: u8| Stored { packed: stored(n).packed.split_off(3), ..stored(n) };
            let all = |take: &mut dyn FnMut(Stored) -> Result<(), StoreError>| {
                (1..50).try_for_each(|n| take(if n == 20 { broken(n) } else { stored(n) }))
            };
            let said = unpack_beside(dir, has_cores, all).err().map(|e| e.to_string());
            assert_eq!(said, Some(page::broken(dir)(BrokenRun).to_string()));

            let gone = || Err(StoreError::Gone { path: dir.to_owned() });
            let said = unpack_beside(dir, has_cores, |take| take(stored(9)).and_then(|()| gone()));
            assert!(matches!(said, Err(StoreError::Gone { .. })));
        }
    }
}
