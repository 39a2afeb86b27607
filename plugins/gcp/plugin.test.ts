import { cloudCompliance, cloudExamples } from '../../test/support/cloud-compliance.ts'
import { gcpWith } from './plugin.ts'

cloudCompliance('gcp', gcpWith, 'gcp')
cloudExamples('gcp', gcpWith, 'gcp')
