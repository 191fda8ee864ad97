import com.tlswe.awsmock.common.listener.AppServletContextListener;
import com.tlswe.awsmock.ec2.servlet.MockEc2EndpointServlet;
import java.net.InetSocketAddress;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.servlet.ServletContextHandler;

/** Serves aws-mock's EC2 at /aws-mock/ec2-endpoint/ of a host and a port. */
public class Run {
  public static void main(String[] arguments) throws Exception {
    Server server = new Server(new InetSocketAddress(arguments[0], Integer.parseInt(arguments[1])));
    ServletContextHandler context = new ServletContextHandler();
    context.setContextPath("/aws-mock");
    context.addEventListener(new AppServletContextListener());
    context.addServlet(MockEc2EndpointServlet.class, "/ec2-endpoint/*");
    server.setHandler(context);
    server.start();
    server.join();
  }
}
