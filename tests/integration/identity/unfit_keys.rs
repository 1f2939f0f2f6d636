//! Keys that are well made, and that no token may be signed with.

/// On a curve that no algorithm here is made with.
pub(super) const P384_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEAhP47kJvIUOcHKxUZSwsXs98lGsLfxmW
Bde/Xe4pbIJxvb7e/tixYhogkcekjZIDSGCOgA4nN8VsSD/kAjXd/wvdlI3SI8PA
fySgUYI/Y2sdfboh/q860OV8cmcEG+YL
-----END PUBLIC KEY-----
";

/// Of 1024 bits.
pub(super) const SMALL_RSA_PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQClaP0o21c1t5xD0HLI/NSviBJB
TSkSvdLOsR5PnPN4tW3Hjrx/OU+QsBemIJmk7RIXrIfUS1wmEWV1HRrLhYeuAMyz
jJDQpaX6U+wP55yTy/j7MPxWnWZAxg0sc8Kgnbj7bBK/f1idBpgvv9qcMRuNf0zm
w2aYKgfsLd5KvHssfwIDAQAB
-----END PUBLIC KEY-----
";

/// The modulus of [`SMALL_RSA_PUBLIC`], as sets of keys have it.
pub(super) const SMALL_RSA_MODULUS: &str = "\
pWj9KNtXNbecQ9ByyPzUr4gSQU0pEr3SzrEeT5zzeLVtx468fzlPkLAXpiCZpO0SF6yH1EtcJhFldR0ay4WHrgDMs4yQ0KWl-lPsD-eck8v4-zD8Vp1mQMYNLHPC\
oJ24-2wSv39YnQaYL7_anDEbjX9M5sNmmCoH7C3eSrx7LH8";
