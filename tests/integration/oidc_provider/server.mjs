// The provider that tests/integration logs in at: node server.mjs PORT
//
// Clients register themselves (RFC 7591), so that each test has its own. Whoever logs in with the
// forms of `devInteractions` is who they say; the address of "unverified" is not verified.
import { generateKeyPairSync } from 'node:crypto'

import Provider from 'oidc-provider'

const port = Number(process.argv[2])
const issuer = `http://127.0.0.1:${port}`

const key = (alg, type, options) => ({
  ...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  alg,
  use: 'sig',
  kid: alg,
})

const provider = new Provider(issuer, {
  jwks: {
    keys: [
      key('RS256', 'rsa', { modulusLength: 2048 }),
      key('ES256', 'ec', { namedCurve: 'P-256' }),
      key('EdDSA', 'ed25519'),
    ],
  },
  enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA', 'HS256'] },
  features: { registration: { enabled: true } },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
  cookies: { keys: ['for tests, on loopback'] },
  findAccount: (_context, id) => ({
    accountId: id,
    claims: () => ({
      sub: id,
      name: `User ${id}`,
      email: `${id}@example.com`,
      email_verified: id !== 'unverified',
    }),
  }),
})

provider.listen(port, '127.0.0.1')
