//! `struct tcp_info` of `linux/tcp.h`, as octets.
//!
//! The kernel fills as much of it as it knows, which was more with almost every release; a struct of one size would be
//! wrong for all others.

use nix::libc::{self, c_void, socklen_t};
use nix::sys::socket::sockopt::Get;

use super::TcpInfoError;

/// As far as `tcpi_bytes_retrans` (Linux 4.19), the last field that is needed.
const NEEDED: usize = 216;

/// `TCPI_OPT_TIMESTAMPS`, of `tcpi_options`.
const OPT_TIMESTAMPS: u8 = 1;

/// The socket option.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcpInfo;

nix::getsockopt_impl!(TcpInfo, libc::IPPROTO_TCP, libc::TCP_INFO, Info, Info);

/// What the kernel has filled.
#[derive(Clone, Debug)]
pub(super) struct Info {
    octets: [u8; NEEDED],
    length: socklen_t,
}

impl Get<Self> for Info {
    fn uninit() -> Self {
        Self { octets: [0; NEEDED], length: NEEDED as socklen_t }
    }

    fn ffi_ptr(&mut self) -> *mut c_void {
        self.octets.as_mut_ptr().cast()
    }

    fn ffi_len(&mut self) -> *mut socklen_t {
        &raw mut self.length
    }

    /// Unsafe by the trait alone: every octet is a value from the start, whether the kernel fills it or not.
    unsafe fn assume_init(self) -> Self {
        self
    }
}

/// The fields that are needed, named as the kernel names them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    pub(super) has_timestamps: bool,
    pub(super) bytes_acked: u64,
    pub(super) bytes_received: u64,
    pub(super) segs_out: u32,
    pub(super) segs_in: u32,
    pub(super) data_segs_in: u32,
    pub(super) data_segs_out: u32,
    pub(super) bytes_sent: u64,
    pub(super) bytes_retrans: u64,
}

impl Info {
    /// The fields, if the kernel has filled them all.
    pub(super) fn fields(&self) -> Result<Fields, TcpInfoError> {
        let given = self.length as usize;
        if given < NEEDED {
            return Err(TcpInfoError::OldKernel { given, needed: NEEDED });
        }
        let u32_at = |at| u32::from_ne_bytes(self.array_at(at));
        let u64_at = |at| u64::from_ne_bytes(self.array_at(at));
        Ok(Fields {
            has_timestamps: self.octets[5] & OPT_TIMESTAMPS != 0,
            bytes_acked: u64_at(120),
            bytes_received: u64_at(128),
            segs_out: u32_at(136),
            segs_in: u32_at(140),
            data_segs_in: u32_at(152),
            data_segs_out: u32_at(156),
            bytes_sent: u64_at(200),
            bytes_retrans: u64_at(208),
        })
    }

    fn array_at<const N: usize>(&self, at: usize) -> [u8; N] {
        *self.octets[at..].first_chunk().expect("the offsets are those of a struct of this length")
    }

    #[cfg(test)]
    pub(super) fn filled_up_to(length: usize) -> Self {
        Self { octets: [0; NEEDED], length: length as socklen_t }
    }
}
