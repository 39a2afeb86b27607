import { cloudCompliance, cloudExamples } from '../../test/support/cloud-compliance.ts'
import { awsEniWith } from './plugin.ts'

cloudCompliance('aws-eni', awsEniWith, 'aws')
cloudExamples('aws-eni', awsEniWith, 'aws')
