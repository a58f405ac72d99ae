import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;
import java.util.List;

/** MongoDB in memory, on 127.0.0.1 and the port given: atomic, neither durable nor with a TTL monitor. */
final class MongoStandIn {
    /** The drivers refuse the versions that the library itself knows. */
    private static final MongoVersion VERSION = new MongoVersion() {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(6, 0, 0);
        }

        @Override
        public int getWireVersion() {
            return 17;
        }
    };

    public static void main(String[] args) {
        new MongoServer(new MemoryBackend().version(VERSION)).bind("127.0.0.1", Integer.parseInt(args[0]));
    }
}
