//! Which correlations a share of them contains: the same in every process, so that a request is
//! kept whole.

use uuid::Uuid;

/// Returns whether a correlation belongs to this share of all. A larger share contains a smaller.
pub(super) fn is_kept(correlation: Uuid, share: f64) -> bool {
    const PLACES: u32 = 53;
    let (high, low) = correlation.as_u64_pair();
    let place = mixed(high ^ mixed(low)) >> (u64::BITS - PLACES);
    (place as f64) < share * (1_u64 << PLACES) as f64
}

/// The finalizer of `SplitMix64`: each bit of the result depends on all bits of the value.
fn mixed(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(share: f64, correlations: impl Iterator<Item = Uuid>) -> usize {
        correlations.filter(|correlation| is_kept(*correlation, share)).count()
    }

    #[test]
    fn a_share_is_kept_of_any_kind_of_correlation() {
        let numbers = || (0..100_000).map(Uuid::from_u128);
        let times = || (0..100_000).map(|number| Uuid::from_u128(number << 80));
        let random = || (0..100_000).map(|_| Uuid::new_v4());
        for share in [0.0, 0.01, 0.1, 0.5, 1.0] {
            for kept in [kept(share, numbers()), kept(share, times()), kept(share, random())] {
                let expected = share * 100_000.0;
                assert!((kept as f64 - expected).abs() <= expected.sqrt() * 6.0, "{share}: {kept}");
            }
        }
    }

    #[test]
    fn a_larger_share_contains_a_smaller_one() {
        assert!((0..10_000).map(Uuid::from_u128).all(|id| !is_kept(id, 0.1) || is_kept(id, 0.2)));
    }

    /// Services of other versions decide alike about the same request.
    #[test]
    fn the_same_correlations_are_kept_for_good() {
        let kept: Vec<u128> = (0..60).filter(|number| is_kept(Uuid::from_u128(*number), 0.1)).collect();
        assert_eq!(kept, [10, 19, 25, 29, 40, 45, 48, 51]);
    }
}
