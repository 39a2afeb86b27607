import { cloudOptionsTests } from '../../test/support/cloud-options.ts'
import { parseOptions } from './options.ts'

cloudOptionsTests('gcp', parseOptions)
