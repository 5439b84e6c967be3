//! The address of the client and the ID of its request, which proxies know in place of this program.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::http::{HeaderName, Request};
use ipnet::IpNet;
use roompass::http::{ClientAddress, RequestId};

/// The addresses of proxies whose headers are believed.
#[derive(Debug, Clone, Default)]
pub(super) struct TrustedProxies(pub(super) Vec<Network>);

/// An address, or a network such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Network(IpNet);

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let address = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(address).map(Self).ok_or_else(|| {
            "must be an IP address such as 10.0.0.7, or a network such as 10.0.0.0/8".to_owned()
        })
    }
}

impl TrustedProxies {
    /// Adds the client's address, unless it is this machine, and a trusted proxy's request ID, as extensions of the
    /// request.
    pub(super) fn identify<B>(&self, peer: IpAddr, request: &mut Request<B>) {
        let peer = peer.to_canonical();
        let mut client = peer;
        if self.contains(peer) {
            let values = request.headers().get_all(&FORWARDED_FOR).iter().rev();
            let addresses = values.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',').map(str::trim));
            for address in addresses {
                // Clients can send any value, and each proxy appends what it knows.
                let Some(address) = without_port(address) else { break };
                client = address;
                if !self.contains(address) {
                    break;
                }
            }
            let id = request.headers().get(&REQUEST_ID).and_then(|id| id.to_str().ok());
            if let Some(id) = id.filter(|id| (1..=MAX_ID).contains(&id.len())) {
                let id = RequestId(id.to_owned());
                request.extensions_mut().insert(id);
            }
        }
        if !client.is_loopback() {
            request.extensions_mut().insert(ClientAddress(client));
        }
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|Network(network)| network.contains(&address))
    }
}

/// The address in an element of `X-Forwarded-For`. Some proxies add the port.
fn without_port(text: &str) -> Option<IpAddr> {
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.ok().or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The maximum size of a request ID, in bytes.
const MAX_ID: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(networks: &[&str]) -> TrustedProxies {
        TrustedProxies(networks.iter().map(|network| network.parse().unwrap()).collect())
    }

    /// The address and the ID of a request that `peer` sends with these headers.
    fn identified(
        proxies: &TrustedProxies,
        peer: &str,
        headers: &[(&str, &str)],
    ) -> (String, Option<RequestId>) {
        let request =
            headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        let mut request = request.body(()).unwrap();
        proxies.identify(peer.parse().unwrap(), &mut request);
        let address = request.extensions_mut().remove().map(|ClientAddress(address)| address.to_string());
        (address.unwrap_or_default(), request.extensions_mut().remove())
    }

    #[test]
    fn without_a_trusted_proxy_the_client_is_the_peer_whatever_it_sends() {
        let headers = [("x-forwarded-for", "1.2.3.4"), ("x-request-id", "mine")];
        for trusted in [&[][..], &["10.0.0.0/8", "127.0.0.1"]] {
            for peer in ["203.0.113.9", "2001:db8::1"] {
                assert_eq!(identified(&proxies(trusted), peer, &headers), (peer.to_owned(), None));
            }
        }
    }

    #[test]
    fn behind_trusted_proxies_the_client_is_the_last_address_that_is_not_one_of_them() {
        let trusted = proxies(&["10.0.0.0/8", "2001:db8::/32"]);
        for (peer, forwarded, client) in [
            ("10.0.0.1", &["203.0.113.9"][..], "203.0.113.9"),
            ("10.0.0.1", &["1.2.3.4, 203.0.113.9, 10.2.3.4"], "203.0.113.9"),
            ("10.0.0.1", &["1.2.3.4", "203.0.113.9", "10.2.3.4"], "203.0.113.9"),
            ("::ffff:10.0.0.1", &["203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["203.0.113.9:5123"], "203.0.113.9"),
            ("2001:db8::1", &["[2001:dead::7]:443"], "2001:dead::7"),
            ("2001:db8::1", &["[2001:dead::7]"], "2001:dead::7"),
            ("10.0.0.1", &["::ffff:203.0.113.9"], "203.0.113.9"),
            ("10.0.0.1", &["10.9.9.9"], "10.9.9.9"),
            ("10.0.0.1", &["1.2.3.4, unknown, 10.2.3.4"], "10.2.3.4"),
            ("10.0.0.1", &["' OR 1=1"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            let headers: Vec<_> = forwarded.iter().map(|value| ("x-forwarded-for", *value)).collect();
            assert_eq!(identified(&trusted, peer, &headers).0, client, "{peer} {forwarded:?}");
        }
    }

    #[test]
    fn a_client_on_this_machine_has_no_address() {
        assert_eq!(identified(&proxies(&[]), "127.0.0.1", &[]).0, "");
        assert_eq!(identified(&proxies(&[]), "::1", &[("x-forwarded-for", "1.2.3.4")]).0, "");
        assert_eq!(identified(&proxies(&["::1"]), "::1", &[("x-forwarded-for", "1.2.3.4")]).0, "1.2.3.4");
    }

    #[test]
    fn a_trusted_proxy_may_name_the_request() {
        let trusted = proxies(&["10.0.0.1"]);
        let id = |value: &str| identified(&trusted, "10.0.0.1", &[("x-request-id", value)]).1;
        assert_eq!(id("8f1c-7"), Some(RequestId("8f1c-7".to_owned())));
        assert_eq!(id(&"x".repeat(MAX_ID)), Some(RequestId("x".repeat(MAX_ID))));
        assert_eq!((id(""), id(&"x".repeat(MAX_ID + 1))), (None, None));
    }

    #[test]
    fn a_network_is_an_address_or_a_range() {
        for text in ["10.0.0.7", "10.0.0.0/8", "::1", "fd00::/8"] {
            assert!(text.parse::<Network>().is_ok(), "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0", "proxy.example", "*", "10.0.0.7:80"] {
            assert!(text.parse::<Network>().unwrap_err().starts_with("must be an IP address"), "{text}");
        }
    }
}
