import { cloudCompliance, cloudExamples } from '../../test/support/cloud-compliance.ts'
import { azureWith } from './plugin.ts'

cloudCompliance('azure', azureWith, 'azure')
cloudExamples('azure', azureWith, 'azure')
