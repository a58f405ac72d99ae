/** The session data of a signed-in visitor: 400 bytes of JSON. */
export function smallSession() {
  return {
    userId: 123456,
    name: 'Ada Lovelace',
    email: 'ada.lovelace@example.org',
    roles: ['customer', 'editor'],
    csrfSecret: 'wZ5xkqGh0mVb3nRt8yLcPf2e',
    signedInAt: 1750000000000,
    locale: 'en-GB',
    theme: 'dark',
    returnTo: '/orders/2041?page=3',
    count: 1000,
    cart: [
      { sku: 'K-1041', quantity: 1, price: 12.5 },
      { sku: 'K-2290', quantity: 3, price: 4.25 },
      { sku: 'K-3377', quantity: 2, price: 89 },
    ],
    note: 'Porch',
  }
}

/** The same with a history of pages: 20 KB of JSON. */
export function largeSession() {
  const history = Array.from({ length: 228 }, (_, index) => ({
    path: `/products/${1000 + index}`,
    title: `Product number ${1000 + index}`,
    at: 1750000000000 + index * 1000,
    seconds: index % 60,
  }))
  return { ...smallSession(), history }
}
