//! Networks of addresses: `10.0.0.0/8`, `fe80::/10`, a single address.

use std::fmt;
use std::net::IpAddr;

/// Addresses that begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads a network; an address alone is a network of one.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Network, String> {
        let wrong = || format!("{text:?} is no network; write 10.0.0.0/8 or fe80::/10");
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.trim().parse().map_err(|_| wrong())?;
        let width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) => bits.trim().parse::<u32>().ok().filter(|b| *b <= width).ok_or_else(wrong)?,
        };
        Ok(Network { address, bits })
    }

    /// Whether a text is an address of the network.
    pub fn holds(&self, text: &[u8]) -> bool {
        let address = std::str::from_utf8(text).ok().and_then(|t| t.trim().parse::<IpAddr>().ok());
        match (self.address, address.map(|a| a.to_canonical())) {
            (IpAddr::V4(own), Some(IpAddr::V4(other))) => {
                let mask = u32::MAX.checked_shl(32 - self.bits).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), Some(IpAddr::V6(other))) => {
                let mask = u128::MAX.checked_shl(128 - self.bits).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_in_their_network_and_others_are_not() {
        for (network, text, wanted) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("192.168.1.7", "192.168.1.7", true),
            ("192.168.1.7", "192.168.1.8", false),
            ("fe80::/10", "fe80::1", true),
            ("::/0", "10.0.0.1", false),
            ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("10.0.0.0/8", "example.com", false),
            ("10.0.0.0/8", "", false),
        ] {
            assert_eq!(Network::parse(network).unwrap().holds(text.as_bytes()), wanted, "{text} in {network}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0/8", "x", "10.0.0.0/-1", "::/129"] {
            assert!(Network::parse(bad).unwrap_err().contains("write 10.0.0.0/8"), "{bad}");
        }
    }
}
