"""Seals secrets as the product does: AES-256-GCM, bound to an owner. Python has no cipher of its own; OpenSSL's library has."""

import base64
import ctypes
import ctypes.util
import os

from rig.processes import BenchError

NONCE_BYTES = 12
TAG_BYTES = 16
GET_TAG = 0x10


class Sealer:
    """A sealing key, from its 64 hexadecimal digits."""

    def __init__(self, key):
        found = ctypes.util.find_library("crypto")
        if not found:
            raise BenchError("OpenSSL's `libcrypto` is not installed")
        self.crypto = ctypes.CDLL(found)
        for name in ("EVP_CIPHER_CTX_new", "EVP_aes_256_gcm"):
            getattr(self.crypto, name).restype = ctypes.c_void_p
        self.context = ctypes.c_void_p(self.crypto.EVP_CIPHER_CTX_new())
        cipher = ctypes.c_void_p(self.crypto.EVP_aes_256_gcm())
        self.check(self.crypto.EVP_EncryptInit_ex(self.context, cipher, None, bytes.fromhex(key), None))

    def seal(self, secret, owner):
        nonce, length = os.urandom(NONCE_BYTES), ctypes.c_int()
        out, tag = ctypes.create_string_buffer(len(secret)), ctypes.create_string_buffer(TAG_BYTES)
        crypto, context = self.crypto, self.context
        self.check(crypto.EVP_EncryptInit_ex(context, None, None, None, nonce))
        self.check(crypto.EVP_EncryptUpdate(context, None, ctypes.byref(length), owner, len(owner)))
        self.check(crypto.EVP_EncryptUpdate(context, out, ctypes.byref(length), secret, len(secret)))
        self.check(crypto.EVP_EncryptFinal_ex(context, None, ctypes.byref(length)))
        self.check(crypto.EVP_CIPHER_CTX_ctrl(context, GET_TAG, TAG_BYTES, tag))
        return "v1." + base64.urlsafe_b64encode(nonce + out.raw + tag.raw).decode().rstrip("=")

    @staticmethod
    def check(result):
        if result != 1:
            raise BenchError("OpenSSL's cipher failed")
