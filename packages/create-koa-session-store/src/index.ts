export { createStorePackage, type StorePackageOptions } from './create-store-package.js'
